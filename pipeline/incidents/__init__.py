"""Groups alerts into incidents: one campaign of votes is one incident, however many alerts it raises.

    claims          reduces an alert to what it states: a model or provider and a direction, or a habit of voters
    carriers        represents an alert together with the votes and the voters that the alert is about
    leanings        finds the models that a voter votes for or against far more often than honest voters do
    sampling_facts  recognises facts about how often models are drawn; the one cause of these facts is the sampler
    campaigns       explains alerts that are about the same votes by one campaign, the strongest first
    grouping        groups alerts into incidents, and applies the splits and merges that people decided
    suspects        finds accounts that seem to belong to a campaign although no alert is about them

The same alerts and decisions give the same incidents, in any order and in any batches. Every alert belongs to exactly
one incident. Nothing here reads a store or a clock.
"""
