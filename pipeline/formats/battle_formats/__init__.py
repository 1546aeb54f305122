"""Declares the battle formats that are recognised, one module for each format.

fastchat_log            FastChat's raw log of conversations and votes
preference_140k         arena-human-preference-140k
preference_140k_export  arena-human-preference-140k with our own fields, as `convert` and `export` write it
preference_100k         arena-human-preference-100k
preference_55k          arena-human-preference-55k
expert_5k               arena-expert-5k
search_arena            search-arena-24k
comparia                compar:IA votes
mt_bench                MT-bench human judgments
llmfao                  llmfao's comparisons by crowd workers
fastchat_battles        FastChat battles
table                   any other table, by the usual names of its columns
conversation_style      declares the columns with style counts that several of these formats share
"""

from pipeline.formats.battle_formats import (
    comparia,
    expert_5k,
    fastchat_battles,
    fastchat_log,
    llmfao,
    mt_bench,
    preference_55k,
    preference_100k,
    preference_140k,
    preference_140k_export,
    search_arena,
)

FORMATS = (
    fastchat_log.FORMAT,
    preference_140k_export.FORMAT,
    preference_140k.FORMAT,
    preference_100k.FORMAT,
    preference_55k.FORMAT,
    expert_5k.FORMAT,
    search_arena.FORMAT,
    comparia.FORMAT,
    mt_bench.FORMAT,
    llmfao.FORMAT,
    fastchat_battles.FORMAT,
)
"""The formats, in the order in which they are compared with a file's columns. The first format that matches is used."""
