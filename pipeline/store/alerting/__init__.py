"""Stores alerts, incidents, the outbox of messages, and the tokens and decisions of operators.

alert_lifecycle   opens, escalates and clears alerts; changes their state
alert_queries     reads alerts in the form for operators
alert_mentions    finds alerts that name a model or provider in any role
public_alerts     converts alerts to the form for the public
carried_alerts    reads alerts with the votes and voters that they are about
own_votes         reads the votes of single voters, and finds the models that they favour or oppose
incident_grouping groups the stored alerts into incidents
suspected_accounts finds accounts of an incident that no alert is about
snapshot_ranks    reads the ranks of models before, after and without the votes of an incident
incident_table    stores the incidents of the newest grouping, and what people decided about them
public_incidents  converts incidents to the form for the public
voter_share       opens and clears the alert about a voter with more than a fifth of all votes
account_records   summarizes the accounts of an incident
voter_record      counts and lists the votes that belong to an alert
outbox            stores messages that must still reach a topic
operator_tokens   stores tokens that let operators decide over HTTP
operators_log     records every decision, login, token, export and erasure, append-only
"""
