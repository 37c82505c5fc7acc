-- How many profiles are in two audiences at once.
SELECT a.segment AS segment, b.segment AS also_in, count(*) AS profiles
FROM coterie.memberships a
JOIN coterie.memberships b ON a.store = b.store AND a.profile_key = b.profile_key AND a.segment < b.segment
WHERE a.status = 'realized' AND b.status = 'realized'
GROUP BY a.segment, b.segment
ORDER BY profiles DESC, segment, also_in;
