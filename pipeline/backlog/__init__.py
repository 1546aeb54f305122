"""Evaluates votes that no snapshot preceded, by references that are fitted on other voters' votes (cross-fitting).

evaluation        the function that evaluates a backlog, and what it finds
backlog_votes     columns of votes, and their cells: the votes of one voter on one model
folds             assigns voters to folds by a keyed hash
reference_fitter  fits the reference of a fold on the votes of the other folds
cell_sums         counts the votes of cells, and the chances of an honest voter
band_values       values of voters against bands of taste
voter_values      values of voters: the average of bands and of a mixture of tastes
voter_rounds      evaluates all folds, and again without the excluded voters; the nested form
explanations      names the alternatives that explain a voter's votes
pooled_voters     pools voters with few votes each, and names the members of a group
pool_rounds       finds the models that pooled voters promote or demote, one after another
pooled_groups     pools the voters of one network or another group
model_periods     compares each model in four weeks with its other weeks

The evaluation is a pure function of columns: same votes, key and options, same findings.
"""

from pipeline.backlog.backlog_votes import NO_VOTER, BacklogVotes
from pipeline.backlog.evaluation import BacklogEvaluation, BacklogFindings, VoterFinding
from pipeline.backlog.folds import fold_key_id

__all__ = ["NO_VOTER", "BacklogEvaluation", "BacklogFindings", "BacklogVotes", "VoterFinding", "fold_key_id"]
