select p.country, count(*) as members
from {{ source('audience', 'win_back') }} a
join {{ source('public', 'profiles') }} p using (profile_id)
group by p.country
