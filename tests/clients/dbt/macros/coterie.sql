{# coterie has no transactions for what changes something: the block that dbt opened is left for the statement. #}
{% materialization coterie_view, adapter='postgres' %}
  {{ run_hooks(pre_hooks) }}
  {% call statement('main') %}
    commit; create or replace view {{ this.include(database=false) }} as {{ sql }}; begin
  {% endcall %}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}

{% materialization coterie_table, adapter='postgres' %}
  {{ run_hooks(pre_hooks) }}
  {% call statement('main') %}
    commit; create or replace table {{ this.include(database=false) }} as {{ sql }}; begin
  {% endcall %}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [this.incorporate(type='table')]}) }}
{% endmaterialization %}
