-- Made by `armature-export schema --format dbt`; do not change it here.
WITH names AS (
  SELECT workflow_key AS named_key, workflow_name FROM (
    SELECT workflow_key, workflow_name, row_number() OVER (PARTITION BY workflow_key
      ORDER BY CASE WHEN started_at IS NULL THEN 1 ELSE 0 END, started_at DESC,
      {{ armature.byte_order("run_id") }} DESC) AS place
    FROM {{ ref('run_facts') }} r WHERE workflow_key IS NOT NULL AND workflow_name IS NOT NULL
  ) AS named WHERE place = 1
),
ordered AS (
  SELECT workflow_key, started_at, CASE WHEN outcome = 'passed' THEN 1 ELSE 0 END
      AS is_passed,
    row_number() OVER (PARTITION BY workflow_key ORDER BY started_at, {{ armature.byte_order("run_id") }}) AS place,
    lag(CASE WHEN outcome = 'passed' THEN 1 ELSE 0 END)
      OVER (PARTITION BY workflow_key ORDER BY started_at, {{ armature.byte_order("run_id") }}) AS previous
  FROM {{ ref('run_facts') }} r
  WHERE workflow_key IS NOT NULL AND started_at IS NOT NULL AND outcome IN ('passed', 'partial', 'failed')
),
measured AS (
  SELECT workflow_key, count(*) AS decided, sum(is_passed) AS passed,
    count(CASE WHEN is_passed = 0 THEN 1 END) AS not_passed, min(started_at) AS first_started_at,
    max(started_at) AS last_started_at,
    sum(CASE WHEN place > 1 AND previous = is_passed THEN 0 ELSE 1 END) AS stretches
  FROM ordered GROUP BY workflow_key
),
orders AS (
  SELECT m.workflow_key AS all_key,
    sum(ln((CAST(1 AS {{ armature.type_float() }}) * m.not_passed + o.place) / o.place)) AS log_all
  FROM measured m JOIN ordered o ON o.workflow_key = m.workflow_key AND o.place <= m.passed
  GROUP BY m.workflow_key
),
terms AS (
  SELECT m.workflow_key AS tested_key,
    2 + CASE WHEN 2 * o.place < m.stretches THEN CAST(1 AS {{ armature.type_float() }}) * m.decided / o.place - 2 ELSE 0 END AS weight,
    sum(CASE WHEN o.place > 1 THEN ln((CAST(1 AS {{ armature.type_float() }}) * m.passed - o.place + 1) / (o.place - 1))
        + ln((CAST(1 AS {{ armature.type_float() }}) * m.not_passed - o.place + 1) / (o.place - 1)) ELSE 0 END)
      OVER (PARTITION BY m.workflow_key ORDER BY o.place ROWS UNBOUNDED PRECEDING)
      - orders.log_all AS log_share
  FROM measured m JOIN orders ON orders.all_key = m.workflow_key
  JOIN ordered o ON o.workflow_key = m.workflow_key AND 2 * o.place <= m.stretches
),
tested AS (
  SELECT tested_key,
    sum(weight * CASE WHEN log_share > -700 THEN exp(log_share) ELSE 0 END) AS p_value
  FROM terms GROUP BY tested_key
),
cumulated AS (
  SELECT workflow_key, place, started_at,
    sum(is_passed) OVER (PARTITION BY workflow_key ORDER BY place ROWS UNBOUNDED PRECEDING)
      AS passed_so_far,
    lead(started_at) OVER (PARTITION BY workflow_key ORDER BY place) AS after_started_at
  FROM ordered
),
splits AS (
  SELECT c.workflow_key AS split_key, c.place AS decided_before,
    c.passed_so_far AS passed_before, c.after_started_at,
    row_number() OVER (PARTITION BY c.workflow_key
      ORDER BY abs(c.passed_so_far * m.decided - c.place * m.passed) DESC, c.place) AS likeliest
  FROM cumulated c JOIN measured m ON m.workflow_key = c.workflow_key
),
judged AS (
  SELECT m.*, names.workflow_name, tested.p_value, s.decided_before,
    s.passed_before, s.after_started_at
  FROM measured m LEFT JOIN names ON names.named_key = m.workflow_key
  LEFT JOIN tested ON tested.tested_key = m.workflow_key
  LEFT JOIN splits s ON s.split_key = m.workflow_key AND s.likeliest = 1
),
metrics_1 AS (
  SELECT *,
    CAST(1 AS {{ armature.type_float() }}) * passed / nullif(decided, 0) AS pass_rate,
    greatest(CAST(0 AS {{ armature.type_float() }}), (2 * passed + CAST(3.841458820694124 AS {{ armature.type_float() }}) - CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * passed * (decided - passed) / nullif(decided, 0))) / (2 * (decided + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS pass_rate_low,
    least(CAST(1 AS {{ armature.type_float() }}), (2 * passed + CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(1.959963984540054 AS {{ armature.type_float() }}) * sqrt(CAST(3.841458820694124 AS {{ armature.type_float() }}) + CAST(4 AS {{ armature.type_float() }}) * passed * (decided - passed) / nullif(decided, 0))) / (2 * (decided + CAST(3.841458820694124 AS {{ armature.type_float() }})))) AS pass_rate_high,
    CAST(1 AS {{ armature.type_float() }}) * passed / nullif(decided, 0) * (passed - 1) / nullif(decided - 1, 0)
      * (passed - 2) / nullif(decided - 2, 0) AS pass_cubed,
    least(CAST(1 AS {{ armature.type_float() }}), coalesce(p_value, 1)) AS runs_test_p FROM judged
),
metrics_2 AS (
  SELECT *,
    CASE WHEN not_passed = 0 THEN 'always passes' WHEN passed = 0 THEN 'never passes'
      WHEN runs_test_p < 0.025 THEN 'changed' ELSE 'flaky' END AS stability FROM metrics_1
),
metrics_3 AS (
  SELECT *,
    CASE WHEN stability = 'changed' THEN after_started_at END AS changed_at,
    CASE WHEN stability = 'changed' THEN CAST(1 AS {{ armature.type_float() }}) * passed_before / nullif(decided_before, 0) END AS pass_rate_before,
    CASE WHEN stability = 'changed' THEN CAST(1 AS {{ armature.type_float() }}) * (passed - passed_before)
      / nullif(decided - decided_before, 0) END AS pass_rate_after FROM metrics_2
)
SELECT
  workflow_key,
  workflow_name,
  CAST(first_started_at AS {{ armature.type_timestamp() }}) AS first_started_at,
  CAST(last_started_at AS {{ armature.type_timestamp() }}) AS last_started_at,
  CAST(decided AS {{ armature.type_integer() }}) AS decided,
  CAST(passed AS {{ armature.type_integer() }}) AS passed,
  CAST(CASE WHEN decided >= 1 THEN pass_rate END AS {{ armature.type_float() }}) AS pass_rate,
  CAST(CASE WHEN decided >= 1 THEN pass_rate_low END AS {{ armature.type_float() }}) AS pass_rate_low,
  CAST(CASE WHEN decided >= 1 THEN pass_rate_high END AS {{ armature.type_float() }}) AS pass_rate_high,
  CAST(CASE WHEN decided >= 5 THEN pass_cubed END AS {{ armature.type_float() }}) AS pass_cubed,
  CASE WHEN decided >= 5 THEN NULL ELSE 'not enough runs' END AS pass_cubed_note,
  CAST(stretches AS {{ armature.type_integer() }}) AS stretches,
  CAST(CASE WHEN CASE WHEN least(passed, not_passed) BETWEEN 1 AND 4 THEN 0 ELSE decided END >= 20 THEN runs_test_p END AS {{ armature.type_float() }}) AS runs_test_p,
  CASE WHEN CASE WHEN least(passed, not_passed) BETWEEN 1 AND 4 THEN 0 ELSE decided END >= 20 THEN stability ELSE 'not enough runs' END AS stability,
  CAST(CASE WHEN CASE WHEN least(passed, not_passed) BETWEEN 1 AND 4 THEN 0 ELSE decided END >= 20 THEN changed_at END AS {{ armature.type_timestamp() }}) AS changed_at,
  CAST(CASE WHEN CASE WHEN least(passed, not_passed) BETWEEN 1 AND 4 THEN 0 ELSE decided END >= 20 THEN pass_rate_before END AS {{ armature.type_float() }}) AS pass_rate_before,
  CAST(CASE WHEN CASE WHEN least(passed, not_passed) BETWEEN 1 AND 4 THEN 0 ELSE decided END >= 20 THEN pass_rate_after END AS {{ armature.type_float() }}) AS pass_rate_after
FROM metrics_3
