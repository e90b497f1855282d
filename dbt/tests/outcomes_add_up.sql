-- Rows whose counts do not add up, and a number of runs that is not that of the table.
SELECT workflow_key, day
FROM {{ ref('workflow_daily') }}
WHERE runs <> decided + errors + undecided OR decided <> passed + partial + failed
UNION ALL
SELECT 'all', NULL
FROM (SELECT sum(runs) AS runs FROM {{ ref('workflow_daily') }}) daily
CROSS JOIN (SELECT count(*) AS runs FROM {{ ref('stg_armature__runs') }}) loaded
WHERE coalesce(daily.runs, 0) <> loaded.runs
