CALM='client_retries_elsewhere connection_breaks confirm_after_scheduler_died false_suspicion fences_run_out node_leaves node_joins release_and_reuse scheduler_joins scheduler_restart_mid_claim hold_lapses'.split()
def w(name, text):
    if name in CALM: text = text.replace('inventory =','timers = "calm"\ninventory =',1)
    if 'extends' not in text and 'clients = false' not in text and 'limits' not in text:
        text = text.replace('[[request]]','limits = { attempts_max = 2 }\n[[request]]',1)
    open(name+'.toml','w').write(text.strip()+'\n')
class RR:
    def __mod__(self, n):
        return '[[request]]\n' + ('' if n==1 else f'count = {n}\n') + 'resources = { VCPU = 1 }'
R=RR()
w('last_slot_race','''
question = "Two schedulers see one free slot on one node: is it ever given out twice?"
expect = "holds"
schedulers = 2
inventory = { VCPU = 1 }
'''+R%2)
w('two_by_two','''
question = "Two schedulers, two nodes, three requests for two slots, no faults: is everything true, and does it end well?"
expect = "holds"
schedulers = 2
nodes = 2
clients = false
inventory = { VCPU = 1 }
'''+R%3)
w('three_schedulers','''
question = "Three schedulers race for one slot with three requests: does exactly one win?"
expect = "holds"
schedulers = 3
clients = false
inventory = { VCPU = 1 }
'''+R%3)
w('three_nodes','''
question = "One scheduler fills three nodes: does it count every claim of its own once?"
expect = "holds"
nodes = 3
inventory = { VCPU = 1 }
'''+R%3)
w('everything_in_flight_lost','''
question = "Everything in flight vanishes at the worst moment: do beats make up for it?"
expect = "holds"
network = "set"
schedulers = 2
clients = false
inventory = { VCPU = 1 }
'''+R%2+'''
[faults]
lose_all = 1''')
w('lossy','''
question = "Any two datagrams are lost: is anything believed that was never so, and does it heal?"
expect = "holds"
schedulers = 2
clients = false
inventory = { VCPU = 2 }
'''+R%2+'''
[faults]
lose = 2''')
w('copied','''
question = "Any two datagrams arrive twice: does a copy ever count as news?"
expect = "holds"
schedulers = 2
inventory = { VCPU = 1 }
'''+R%2+'''
[faults]
copy = 2''')
w('node_restart_mid_claim','''
question = "A node restarts while claims are on their way to it: is anything promised twice, or forgotten?"
expect = "holds"
schedulers = 2
inventory = { VCPU = 1 }
'''+R%2+'''
[faults]
node_restart = 1''')
w('late_claim_after_node_restart','''
question = "A claim was granted and lapsed, the node restarted and forgot that: is a late copy of the claim granted again?"
expect = "holds"
network = "set"
inventory = { VCPU = 1 }
'''+R%1+'''
[faults]
node_restart = 1
lapse = 1''')
w('torn_write','''
question = "A process crashes between any two things it does in a step: is anything told that is not on disk?"
expect = "holds"
inventory = { VCPU = 1 }
'''+R%2+'''
[faults]
torn_write = 1''')
w('scheduler_restart_mid_claim','''
question = "A scheduler restarts while claims are open: does its next life mistake old verdicts for its own?"
expect = "holds"
inventory = { VCPU = 1 }
'''+R%2+'''
[faults]
scheduler_restart = 1''')
w('subscriber_forgotten','''
question = "A node forgets a subscriber that is there: does the subscriber notice?"
expect = "holds"
schedulers = 2
inventory = { VCPU = 1 }
'''+R%2+'''
[faults]
forget = 2''')
w('client_retries_elsewhere','''
question = "A client does not wait and asks another scheduler too: does it ever hold two places in the end?"
expect = "holds"
schedulers = 2
inventory = { VCPU = 2 }
lapses = "free"
limits = { attempts_max = 2 }
'''+R%1+'''
[faults]
impatience = 1''')
w('connection_breaks','''
question = "A connection between client and scheduler breaks: is what was placed for it given back?"
expect = "holds"
schedulers = 2
inventory = { VCPU = 1 }
lapses = "free"
limits = { attempts_max = 2 }
'''+R%1+'''
[faults]
disconnect = 1''')
w('verdict_lost_and_hold_lapsed','''
question = "The verdict on a grant is lost and the hold lapses: does the attempt end when it is told so?"
expect = "holds"
inventory = { VCPU = 1 }
lapses = "free"
limits = { attempts_max = 2, claims_per_attempt_max = 1 }
'''+R%1+'''
[faults]
lose = 1''')
w('confirm_after_scheduler_died','''
question = "The scheduler that placed a request dies for good: can its client still confirm?"
expect = "holds"
schedulers = 2
inventory = { VCPU = 1 }
lapses = "free"
limits = { attempts_max = 2 }
'''+R%1+'''
[faults]
scheduler_death = 1''')
w('release_and_reuse','''
question = "A placed request is released: can its place be given to another, and is it given only once?"
expect = "holds"
schedulers = 2
inventory = { VCPU = 1 }
limits = { attempts_max = 2 }
'''+R%2+'''
[[order]]
release = 1''')
w('hold_lapses','''
question = "Holds lapse at any moment, and schedulers and clients restart: is anything left over in the end?"
expect = "holds"
inventory = { VCPU = 1 }
lapses = "free"
limits = { attempts_max = 2, claims_per_attempt_max = 2 }
'''+R%1+'''
[faults]
scheduler_restart = 1
client_restart = 1''')
w('node_drains','''
question = "A node drains and comes back: does a scheduler that knows so claim on it?"
expect = "holds"
nodes = 2
clients = false
inventory = { VCPU = 1 }
'''+R%2+'''
[[order]]
drain = "n1"
[[order]]
undrain = "n1"''')
w('inventory_shrinks','''
question = "A node loses half of what it has, then gets it back: does it grant by what it has at that moment?"
expect = "holds"
clients = false
inventory = { VCPU = 2 }
'''+R%2+'''
[[order]]
inventory = { node = "n1", classes = { VCPU = 1 } }
[[order]]
inventory = { node = "n1", classes = { VCPU = 3 } }''')
w('node_joins','''
question = "A node joins while there is too little room: is it found and used?"
expect = "holds"
schedulers = 2
inventory = { VCPU = 1 }
limits = { attempts_max = 2 }
'''+R%2+'''
[[order]]
join = "n2"''')
w('node_leaves','''
question = "A node drains and leaves, and the word of it may be lost: does any request wait for it for ever?"
expect = "holds"
nodes = 2
inventory = { VCPU = 1 }
limits = { attempts_max = 2, claims_per_attempt_max = 2 }
'''+R%1+'''
[[order]]
drain = "n1"
[[order]]
leave = "n1"
[faults]
lose = 1
lapse = 1''')
w('scheduler_joins','''
question = "A scheduler joins a running cluster: does it see what is there before it decides?"
expect = "holds"
inventory = { VCPU = 1 }
'''+R%2+'''
[[order]]
join = "s2"''')
w('two_classes','''
question = "A demand fits in one class and not in the other: is it refused for the right reason?"
expect = "holds"
schedulers = 2
clients = false
inventory = { VCPU = 2, MEMORY_MB = 3 }
[[request]]
count = 2
resources = { VCPU = 1, MEMORY_MB = 2 }
[[request]]
resources = { VCPU = 1 }
''')
w('delta_log_overflows','''
question = "A node changes faster than its log reaches back: does a snapshot fill in?"
expect = "holds"
clients = false
inventory = { VCPU = 3 }
limits = { delta_log_max = 1 }
'''+R%3+'''
[faults]
lose = 1''')
w('copy_of_a_grant','''
question = "Every datagram may arrive again at any time: is a granted claim granted again after it lapsed?"
expect = "holds"
network = "set"
timers = "any"
inventory = { VCPU = 1 }
limits = { attempts_max = 1 }
'''+R%1+'''
[faults]
lapse = 1''')
w('in_flight_sync_overwrites_reservation','''
question = "A state that was sent before a claim was granted arrives after the verdict: is the claim's room seen as free again? (the race of Ray issue 62858)"
expect = "holds"
clients = false
inventory = { VCPU = 3 }
'''+R%3)
w('unchanged_node_stays_silent','''
question = "The last change of a node is lost, and nothing follows it: does anyone ever notice? (Ray pull request 12711)"
expect = "holds"
schedulers = 2
clients = false
inventory = { VCPU = 1 }
'''+R%1+'''
[faults]
lose = 3''')
w('older_answer_after_newer','''
question = "An older snapshot arrives after a newer one: does the view go back? (Nomad issue 18267)"
expect = "holds"
clients = false
network = "set"
start = "cold"
inventory = { VCPU = 2 }
limits = { delta_log_max = 1 }
'''+R%2)
w('double_assume','''
question = "Verdicts come late and claims are sent again: is one claim ever set aside twice, or not at all? (Kubernetes issues 26043 and 55587)"
expect = "holds"
clients = false
inventory = { VCPU = 2 }
'''+R%2+'''
[faults]
copy = 2
lose = 1''')
w('false_suspicion','''
question = "A scheduler takes a node for dead that is not: does it recover, and is nothing lost?"
expect = "holds"
schedulers = 2
inventory = { VCPU = 1 }
limits = { attempts_max = 2 }
'''+R%1+'''
[faults]
suspicion = 1
lapse = 1''')
w('superseded_scheduler_stops','''
question = "A scheduler is started twice: does the older one stop, and is no verdict mistaken?"
expect = "holds"
clients = false
inventory = { VCPU = 1 }
'''+R%2+'''
[faults]
twin = 1''')
w('fences_run_out','''
question = "More schedulers claim than a node can fence: does it keep from granting twice by starting a new life?"
expect = "holds"
schedulers = 2
clients = false
inventory = { VCPU = 1 }
limits = { fences_max = 1, subscribers_max = 2 }
'''+R%2+'''
[faults]
lapse = 1''')
for rule,base,prop in [
 ('node_judges_claims','last_slot_race','no_overcommit'),
 ('durable_before_told','torn_write','allocations_survive_restart'),
 ('granted_claims_stay_decided','copy_of_a_grant','one_grant_per_claim'),
 ('claims_name_an_incarnation','late_claim_after_node_restart','one_grant_per_claim'),
 ('incarnations_on_both_ends','scheduler_restart_mid_claim','verdicts_are_true'),
 ('client_keeps_its_choice','client_retries_elsewhere','one_confirmed_per_request'),
 ('reservation_outlives_the_verdict','in_flight_sync_overwrites_reservation','own_claims_count_once'),
 ('gaps_are_not_applied','two_classes','views_are_real_states'),
 ('quiet_streams_carry_their_stamp','unchanged_node_stays_silent','convergence'),
 ('snapshots_never_go_back','older_answer_after_newer','views_never_go_back'),
 ('unconfirmed_holds_lapse','hold_lapses','no_leak'),
 ('refusals_teach','last_slot_race','no_claim_against_known_refusal'),
 ('unavailable_nodes_are_not_chosen','node_drains','no_claim_to_unavailable'),
 ('gone_ends_the_attempt','verdict_lost_and_hold_lapsed','bounded')]:
    w('without_'+rule, f'''
extends = "{base}"
question = "What goes wrong without the rule {rule}?"
violates = "{prop}"
without = ["{rule}"]''')

w('claim_on_a_node_that_left','''
extends = "node_leaves"
question = "What goes wrong if a scheduler claims on a node that has left?"
violates = "every_request_ends"
without = ["unavailable_nodes_are_not_chosen"]''')
w('answer_to_another_request',"""
extends = "scheduler_restart_mid_claim"
question = "What does a scheduler answer if it takes a verdict for an earlier life's claim for one on its own?"
violates = "answers_are_true"
without = ["incarnations_on_both_ends"]""")
