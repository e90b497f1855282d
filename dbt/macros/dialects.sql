{# Made by `armature-export schema --format dbt`; do not change it here. #}

{% macro utc(moment) -%}
  {{ return(adapter.dispatch('utc', 'armature')(moment)) }}
{%- endmacro %}

{% macro default__utc(moment) -%}
  ({{ moment }} AT TIME ZONE 'UTC')
{%- endmacro %}

{% macro duckdb__utc(moment) -%}
  make_timestamp(epoch_us({{ moment }}))
{%- endmacro %}

{% macro snowflake__utc(moment) -%}
  CAST(convert_timezone('UTC', {{ moment }}) AS TIMESTAMP_NTZ)
{%- endmacro %}

{% macro bigquery__utc(moment) -%}
  DATETIME({{ moment }}, 'UTC')
{%- endmacro %}

{% macro spark__utc(moment) -%}
  (TIMESTAMP_NTZ '1970-01-01 00:00:00' + make_dt_interval(0, 0, 0, CAST(unix_micros({{ moment }}) AS DECIMAL(24, 6)) / 1000000))
{%- endmacro %}

{% macro clickhouse__utc(moment) -%}
  toTimeZone({{ moment }}, 'UTC')
{%- endmacro %}

{% macro microseconds(from, until) -%}
  {{ return(adapter.dispatch('microseconds', 'armature')(from, until)) }}
{%- endmacro %}

{% macro default__microseconds(from, until) -%}
  1000000 * extract(epoch FROM {{ until }} - {{ from }})
{%- endmacro %}

{% macro duckdb__microseconds(from, until) -%}
  epoch_us({{ until }}) - epoch_us({{ from }})
{%- endmacro %}

{% macro snowflake__microseconds(from, until) -%}
  datediff(microsecond, {{ from }}, {{ until }})
{%- endmacro %}

{% macro bigquery__microseconds(from, until) -%}
  timestamp_diff({{ until }}, {{ from }}, MICROSECOND)
{%- endmacro %}

{% macro redshift__microseconds(from, until) -%}
  datediff(microsecond, {{ from }}, {{ until }})
{%- endmacro %}

{% macro spark__microseconds(from, until) -%}
  unix_micros({{ until }}) - unix_micros({{ from }})
{%- endmacro %}

{% macro clickhouse__microseconds(from, until) -%}
  dateDiff('microsecond', {{ from }}, {{ until }})
{%- endmacro %}

{% macro percentile(fraction, value) -%}
  {{ return(adapter.dispatch('percentile', 'armature')(fraction, value)) }}
{%- endmacro %}

{% macro default__percentile(fraction, value) -%}
  percentile_cont({{ fraction }}) WITHIN GROUP (ORDER BY {{ value }})
{%- endmacro %}

{% macro snowflake__percentile(fraction, value) -%}
  percentile_cont({{ fraction }}) WITHIN GROUP (ORDER BY CAST({{ value }} AS DOUBLE PRECISION))
{%- endmacro %}

{% macro bigquery__percentile(fraction, value) -%}
  (array_agg({{ value }} IGNORE NULLS ORDER BY {{ value }})[SAFE_OFFSET(CAST(floor({{ fraction }} * (count({{ value }}) - 1)) AS INT64))] + (array_agg({{ value }} IGNORE NULLS ORDER BY {{ value }})[SAFE_OFFSET(CAST(ceil({{ fraction }} * (count({{ value }}) - 1)) AS INT64))] - array_agg({{ value }} IGNORE NULLS ORDER BY {{ value }})[SAFE_OFFSET(CAST(floor({{ fraction }} * (count({{ value }}) - 1)) AS INT64))]) * ({{ fraction }} * (count({{ value }}) - 1) - floor({{ fraction }} * (count({{ value }}) - 1))))
{%- endmacro %}

{% macro redshift__percentile(fraction, value) -%}
  percentile_cont({{ fraction }}) WITHIN GROUP (ORDER BY CAST({{ value }} AS DOUBLE PRECISION))
{%- endmacro %}

{% macro clickhouse__percentile(fraction, value) -%}
  quantileExactInclusive({{ fraction }})({{ value }})
{%- endmacro %}

{% macro byte_order(text) -%}
  {{ return(adapter.dispatch('byte_order', 'armature')(text)) }}
{%- endmacro %}

{% macro default__byte_order(text) -%}
  {{ text }} COLLATE "C"
{%- endmacro %}

{% macro duckdb__byte_order(text) -%}
  {{ text }}
{%- endmacro %}

{% macro snowflake__byte_order(text) -%}
  {{ text }}
{%- endmacro %}

{% macro bigquery__byte_order(text) -%}
  {{ text }}
{%- endmacro %}

{% macro redshift__byte_order(text) -%}
  {{ text }}
{%- endmacro %}

{% macro spark__byte_order(text) -%}
  {{ text }}
{%- endmacro %}

{% macro clickhouse__byte_order(text) -%}
  {{ text }}
{%- endmacro %}

{% macro position(part, text) -%}
  {{ return(adapter.dispatch('position', 'armature')(part, text)) }}
{%- endmacro %}

{% macro default__position(part, text) -%}
  position({{ part }} IN {{ text }})
{%- endmacro %}

{% macro bigquery__position(part, text) -%}
  strpos({{ text }}, {{ part }})
{%- endmacro %}

{% macro type_text() -%}
  {{ return(adapter.dispatch('type_text', 'armature')()) }}
{%- endmacro %}

{% macro default__type_text() -%}
  VARCHAR
{%- endmacro %}

{% macro bigquery__type_text() -%}
  STRING
{%- endmacro %}

{% macro redshift__type_text() -%}
  VARCHAR(65535)
{%- endmacro %}

{% macro spark__type_text() -%}
  STRING
{%- endmacro %}

{% macro clickhouse__type_text() -%}
  Nullable(String)
{%- endmacro %}

{% macro type_integer() -%}
  {{ return(adapter.dispatch('type_integer', 'armature')()) }}
{%- endmacro %}

{% macro default__type_integer() -%}
  BIGINT
{%- endmacro %}

{% macro bigquery__type_integer() -%}
  INT64
{%- endmacro %}

{% macro clickhouse__type_integer() -%}
  Nullable(Int64)
{%- endmacro %}

{% macro type_float() -%}
  {{ return(adapter.dispatch('type_float', 'armature')()) }}
{%- endmacro %}

{% macro default__type_float() -%}
  DOUBLE PRECISION
{%- endmacro %}

{% macro duckdb__type_float() -%}
  DOUBLE
{%- endmacro %}

{% macro bigquery__type_float() -%}
  FLOAT64
{%- endmacro %}

{% macro spark__type_float() -%}
  DOUBLE
{%- endmacro %}

{% macro clickhouse__type_float() -%}
  Nullable(Float64)
{%- endmacro %}

{% macro type_decimal() -%}
  {{ return(adapter.dispatch('type_decimal', 'armature')()) }}
{%- endmacro %}

{% macro default__type_decimal() -%}
  DECIMAL(38, 18)
{%- endmacro %}

{% macro duckdb__type_decimal() -%}
  DECIMAL(38,18)
{%- endmacro %}

{% macro bigquery__type_decimal() -%}
  BIGNUMERIC
{%- endmacro %}

{% macro clickhouse__type_decimal() -%}
  Nullable(Decimal(38, 18))
{%- endmacro %}

{% macro type_boolean() -%}
  {{ return(adapter.dispatch('type_boolean', 'armature')()) }}
{%- endmacro %}

{% macro default__type_boolean() -%}
  BOOLEAN
{%- endmacro %}

{% macro bigquery__type_boolean() -%}
  BOOL
{%- endmacro %}

{% macro clickhouse__type_boolean() -%}
  Nullable(Bool)
{%- endmacro %}

{% macro type_timestamp() -%}
  {{ return(adapter.dispatch('type_timestamp', 'armature')()) }}
{%- endmacro %}

{% macro default__type_timestamp() -%}
  TIMESTAMP
{%- endmacro %}

{% macro snowflake__type_timestamp() -%}
  TIMESTAMP_NTZ
{%- endmacro %}

{% macro bigquery__type_timestamp() -%}
  DATETIME
{%- endmacro %}

{% macro spark__type_timestamp() -%}
  TIMESTAMP_NTZ
{%- endmacro %}

{% macro clickhouse__type_timestamp() -%}
  Nullable(DateTime64(6, 'UTC'))
{%- endmacro %}

{% macro type_date() -%}
  {{ return(adapter.dispatch('type_date', 'armature')()) }}
{%- endmacro %}

{% macro default__type_date() -%}
  DATE
{%- endmacro %}

{% macro clickhouse__type_date() -%}
  Nullable(Date32)
{%- endmacro %}
