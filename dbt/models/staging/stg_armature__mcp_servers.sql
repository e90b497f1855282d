-- Made by `armature-export schema --format dbt`; do not change it here.
SELECT * FROM {{ source('armature', 'mcp_servers') }}
