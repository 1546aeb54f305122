"""Groups alerts into incidents: one campaign of votes is one incident, however many alerts it raises.

    claims          what an alert says: about which model or provider, in which direction, or which habit of voters
    carriers        an alert with the votes and voters that carry it
    campaigns       claims of alerts with the same votes, explained by the strongest of them first
    grouping        the incidents of a set of alerts, with the splits and merges that people decided

Laws: the same alerts and decisions give the same incidents, in any order and in any batches. Every alert belongs to
exactly one incident. Nothing here reads a store or a clock.
"""
