"""Evaluates a backlog: votes that are evaluated together, such as all votes from before the first snapshot.

The voters are split into folds. The voters of a fold are evaluated by a reference that was fitted on the votes of all
other folds (cross-fitting). A reference predicts how an honest voter votes. A cell has the votes of one voter on one
model. A band is the range of logits around the prediction of the reference that counts as honest. The taste of a voter
is by how much the voter likes each model more or less than the reference predicts, in logits.

evaluation        evaluates a backlog, and represents the findings
backlog_votes     represents votes as columns, and the cells of these votes
folds             assigns voters to folds by a keyed hash
reference_fitter  fits the reference of a fold on the votes of the other folds
cell_sums         counts the votes of cells, and sums an honest voter's chances of a win and of a tie
band_values       computes each voter's e-value against honest voters in the band, and the evidence of random clicks
voter_values      computes two e-values of each voter: against the band, and against honest voters with random tastes
voter_rounds      evaluates all folds in rounds; a round's references leave out the voters found in the round before
explanations      names the alternatives that explain a voter's votes
pooled_voters     pools voters with few votes each, and names the members of a group
pool_rounds       finds the models that pooled voters promote or demote, one after another
cohorts           divides votes into cohorts: networks, account ages, prompts, sessions
cohort_cells      evaluates the votes of single voters within one cohort
small_cells       tabulates the likelihood ratios of cells with one or two votes
pooled_groups     pools the voters of one cohort
model_periods     compares a model's results in each period of four weeks with its results in all other periods
answer_styles     finds models whose answers are longer, or have more lists, in some weeks than in others
voter_habits      finds voters who prefer one style of answers, or press "both bad", more often than honest voters do
habit_nulls       computes likelihood ratios of habits, where honest voters have habits of different strength

The evaluation is a pure function: the same votes, key and options give the same findings.
"""

from pipeline.backlog.backlog_votes import NO_VOTER, BacklogVotes
from pipeline.backlog.evaluation import BacklogEvaluation, BacklogFindings, RandomFinding, VoterFinding
from pipeline.backlog.folds import fold_key_id

__all__ = [
    "NO_VOTER",
    "BacklogEvaluation",
    "BacklogFindings",
    "BacklogVotes",
    "RandomFinding",
    "VoterFinding",
    "fold_key_id",
]
