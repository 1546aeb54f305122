"""Evaluates votes from before the first snapshot, by references fitted on other voters' votes (cross-fitting).

evaluation        evaluates a backlog, and holds what was found
backlog_votes     votes as columns, and cells: the votes of one voter on one model
folds             assigns voters to folds by a keyed hash
reference_fitter  fits the reference of a fold on the votes of the other folds
cell_sums         counts the votes of cells, and sums the chances of an honest voter
band_values       values of voters against bands of taste
voter_values      values of voters: the average of bands and of a mixture of tastes
voter_rounds      evaluates all folds in rounds without the excluded voters; the nested form
explanations      names the alternatives that explain a voter's votes
pooled_voters     pools voters with few votes each, and names the members of a group
pool_rounds       finds the models that pooled voters promote or demote, one after another
pooled_groups     pools the voters of one network or another group
model_periods     compares each model in four weeks with its other weeks

The evaluation is a pure function: the same votes, key and options give the same findings.
"""

from pipeline.backlog.backlog_votes import NO_VOTER, BacklogVotes
from pipeline.backlog.evaluation import BacklogEvaluation, BacklogFindings, VoterFinding
from pipeline.backlog.folds import fold_key_id

__all__ = ["NO_VOTER", "BacklogEvaluation", "BacklogFindings", "BacklogVotes", "VoterFinding", "fold_key_id"]
