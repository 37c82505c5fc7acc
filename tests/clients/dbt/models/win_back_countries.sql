{{ config(materialized='coterie_table') }}
select country, members from {{ ref('win_back_by_country') }} where members > 1
