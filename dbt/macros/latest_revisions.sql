{#
  The rows of a table that belong to the latest revision of their run. The revisions are those of the
  table `runs`: a later revision can have no rows in this table, and replaces the earlier ones all the
  same.
#}
{% macro latest_revisions(table) -%}
SELECT t.*
FROM {{ source('armature', table) }} t
INNER JOIN (
  SELECT run_id AS latest_run_id, max(_revision) AS latest_revision
  FROM {{ source('armature', 'runs') }}
  GROUP BY run_id
) latest
  ON latest.latest_run_id = t.run_id AND latest.latest_revision = t._revision
{%- endmacro %}
