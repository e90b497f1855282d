-- Made by `armature-export schema --format dbt`; do not change it here.
{{ config(enabled = var('armature_commit_log', target.type == 'duckdb')) }}

SELECT * FROM {{ source('armature', '_gaps') }}
