-- Made by `armature-export schema --format dbt`; do not change it here.
{{ armature.latest_revisions('evaluations') }}
