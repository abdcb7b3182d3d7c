//! The update/claim protocol: how several schedulers place demands on many nodes without a leader,
//! a lock, a database, or a word to each other.
//!
//! A scheduler decides from its own cache of the nodes' states and then asks the one node it chose.
//! That node alone disposes of what it has; it judges by its own state. A cache that is behind
//! costs a refusal and another choice. It cannot cost more than a node has.
//!
//! This crate is three state machines, [`Node`], [`Scheduler`] and [`Client`], and what they say to
//! each other, [`message`]. It has no clock, no randomness, no I/O: [`machine`] is the contract
//! with whoever drives it. The machines that are checked are the ones that run.
//!
//! # Actors and what they keep
//!
//! - A *node* keeps on disk its life ([`Incarnation`]), its inventory and status, and its
//!   allocations; in memory its version, a log of the last changes, its subscribers and its fences.
//! - A *scheduler* keeps on disk its life and nothing else; in memory, of each node, the host state
//!   at a stamp, its presence and the scheduler's own claims on it; and the attempts that it works
//!   on.
//! - A *client* keeps on disk the choice that it made for each request, whether that is to be
//!   released, and its bundle; in memory its requests, their open attempts, what it holds, and what
//!   was placed beside a choice.
//!
//! A node or scheduler adds 1 to its life at every start, on disk before anything else. A node
//! counts the changes of its [`HostState`] in [`Version`]s, from 0 in each life; life and version
//! make a [`Stamp`]. Inventory, status and the sums of allocations are host state; whether an
//! allocation is held or confirmed is not. Each [`node::Allocation`] remembers the stamp from which
//! on the host state contains it.
//!
//! A fence ([`node::Fence`]) is what a node decided about the claims of one life of one scheduler,
//! from the lowest number that is still open. Fences are kept for a whole life and not on disk.
//! When there is no room for another, the node starts a new life on the spot: it keeps its
//! allocations and subscribers and refuses whatever was meant for the life before.
//!
//! # A placement
//!
//! ```text
//!  client c1            scheduler s1            node n1              scheduler s2
//!     |                      |                     |                      |
//!     |  Call r1/1           |                     |                      |
//!     |--------------------->| chooses n1,         |                      |
//!     |                      | sets r1 aside       |                      |
//!     |                      |  Claim n1#0         |                      |
//!     |                      |-------------------->| judges, writes       |
//!     |                      |                     | the hold down        |
//!     |                      |  Verdict Granted    |                      |
//!     |                      |<--------------------|                      |
//!     |  Answer Placed n1#0  |                     |                      |
//!     |<---------------------|                     |                      |
//!     | writes its           |                     |                      |
//!     | choice down          |                     |                      |
//!     |  Confirm n1#0        |                     |                      |
//!     |------------------------------------------->| writes it down       |
//!     |  Verdict Confirmed   |                     |                      |
//!     |<-------------------------------------------|                      |
//!     |                      |  Delta (0, 1]       |  Delta (0, 1]        |
//!     |                      |<--------------------|--------------------->|
//!     |                      | covers the grant:   |                      |
//!     |                      | r1 no more set aside|                      |
//! ```
//!
//! The delta may come before the verdict, after it, or never; then the next beat shows that one is
//! missing.
//!
//! # Messages
//!
//! Nodes and schedulers, and clients for confirm and release, exchange [`Datagram`]s, which may be
//! lost, copied, delayed and reordered. A [`Call`] and its [`Answer`] go over a connection, which
//! delivers each once, or breaks. The documentation of each message says who sends it,
//! when, what answers it, and what its loss or copy does.
//!
//! # How a node answers a claim
//!
//! The first of these that is true decides:
//!
//! 1. The allocation is on disk: [`Decision::Granted`] or [`Decision::Confirmed`], with the stamp
//!    of its grant.
//! 2. The number is below the floor of this life of the scheduler: no answer, nobody waits for one.
//! 3. A later life of the scheduler has claimed or subscribed: [`Body::Superseded`].
//! 4. It was granted and is over: [`Decision::Gone`].
//! 5. It was refused: [`Decision::Refused`], the same refusal as then.
//! 6. It was meant for another life of this node: refused as [`Reason::OtherLife`].
//! 7. The number is outside the window that starts at the floor it names: no answer.
//! 8. There is no room for another fence: a new life starts, then as 6.
//! 9. It is judged by the present host state: granted, or refused for a [`Reason`]. The decision
//!    goes into the fence.
//!
//! A confirm or release looks at the allocation alone, in whatever life of node or scheduler.
//! Without one the answer is gone. No claim is granted twice, so gone is the last word on it.
//!
//! # How an update relates to the cache
//!
//! [`Relation::of`] classifies a delta over (from, to] against the cached stamp. It is *next* if
//! the life is the same and from <= cached < to: it is applied. It is *stale* if cached is at or
//! past its end: nothing happens. Else it is a *gap*: nothing is applied, and the node is asked,
//! with a [`Resync`] that says what is cached. A beat is a delta with from = to; it changes
//! nothing, and is a gap if the node is further than the cache. A delta names every field touched
//! in between and gives it the value at its end, so one that begins before the cached stamp is as
//! good as one that begins at it. A [`Snapshot`] replaces an older host state and nothing else.
//!
//! A node answers a resync with a beat, with a delta if its log reaches back to that stamp, and
//! with a snapshot otherwise. The same holds from one announcement to the next.
//!
//! # Reservations
//!
//! From the moment a claim is sent its demand is set aside: the scheduler counts it against what is
//! free on that node. That ends when the cached stamp covers the grant, or when the claim is
//! refused, gone, or was meant for a life of the node that has left. The count is *conservative*:
//! when a delta that contains the grant arrives before its verdict, the scheduler cannot tell whose
//! allocation it is, and counts that claim twice until the verdict arrives.
//!
//! A scheduler releases nothing. What was granted for an attempt that is no longer open is not told
//! to anybody, and lapses.
//!
//! # Groups
//!
//! A demand joins a group by asking for one of it, as of any [`ResourceClass`]; every node has
//! groups without bound. So what a node's host state says is used of a group is how many members are
//! there, and deltas, snapshots and reservations carry it like any sum. A demand may name groups
//! that it must be *near*, of which a member must be on the node, and groups that it must be
//! *apart* from, with how many members it bears. The node judges both by its own state when it
//! grants, and by nothing later: who comes after is judged by its own demand, and a member that goes
//! takes nobody along.
//!
//! A scheduler takes its own reservations for members where the demand must be apart, and not where
//! it must be near: there it waits until it knows what became of them, as it does where they are
//! all that is in the way of a capacity. That ends: a reservation ends with news of the node, and a
//! node without news is suspected.
//!
//! # Bundles
//!
//! A user may order several requests together, as a *bundle*: each is placed, or none is. Only the
//! client knows of bundles; to schedulers and nodes the members are requests like others, and
//! distances between them are a matter of groups.
//!
//! ```text
//!               placed             placed for each: all written        confirmed, each
//!                                  down in one record                  by its node
//!    seeking ----------> held ----------------------------> confirming ----------> confirmed
//!       ^  ^              |                                    |
//!       |  +--------------+ its node is over                   | gone: it lapsed while it was held
//!       +------------------------------------------------------+
//! ```
//!
//! What is placed for a member is *held* until something is placed for each, or chosen already. Then
//! every choice is written, in one record, and confirmed. The user is told that the members are
//! confirmed once all are, and from then on none of them lapses. When a member is gone before that,
//! it is sought again; the others stay as they are and wait.
//!
//! When one member ends otherwise, for want of a valid host, of attempts, or because the user gave
//! it up, the others are given up: what is chosen is released, which is written down first, for all
//! in one record; what is held is released; what is sought is not any more. A member that was given
//! up for another's sake ends as [`Outcome::Released`].
//!
//! What is held is not on disk, and neither is what is sought. So a client that starts again may
//! find a part of a bundle: before all were chosen it finds nothing, and what was held lapses;
//! after that, a member that was gone and not yet placed again is missing. It gives up the rest.
//!
//! Two bundles may each hold what the other lacks. Neither waits for the other: a member that finds
//! no place ends, as attempts are counted, and its bundle with it. Both may end so.
//!
//! # Rules
//!
//! Each is a [`Rule`], always in force in the service. The checker can switch one off, to show that
//! it is needed: `models/scenarios/without_<rule>.toml` must then break the property named here.
//!
//! - [`Rule::NodeJudgesClaims`]: two schedulers both get the last slot: `no_overcommit`.
//! - [`Rule::DurableBeforeTold`]: a node crashes after it told of a grant and has no record of it:
//!   `allocations_survive_restart`.
//! - [`Rule::GrantedClaimsStayDecided`]: a copy of a claim is granted again after the first hold
//!   lapsed: `one_grant_per_claim`.
//! - [`Rule::ClaimsNameAnIncarnation`]: the same after a restart, for fences are not on disk:
//!   `one_grant_per_claim`.
//! - [`Rule::IncarnationsOnBothEnds`]: a restarted scheduler counts from 0 again and takes the
//!   verdict on an old claim for its own: `verdicts_are_true`.
//! - [`Rule::ClientKeepsItsChoice`]: a client that tried twice confirms both:
//!   `one_confirmed_per_request`.
//! - [`Rule::ReservationOutlivesTheVerdict`]: between verdict and delta the claim is counted
//!   nowhere: `own_claims_count_once`.
//! - [`Rule::GapsAreNotApplied`]: new values of some fields meet old values of others:
//!   `views_are_real_states`.
//! - [`Rule::QuietStreamsCarryTheirStamp`]: when the last change is lost and the node falls quiet,
//!   nobody notices: `convergence`.
//! - [`Rule::SnapshotsNeverGoBack`]: a delayed snapshot brings an old state back:
//!   `views_never_go_back`.
//! - [`Rule::UnconfirmedHoldsLapse`]: what nobody came to confirm is held for ever: `no_leak`.
//! - [`Rule::RefusalsTeach`]: the same node is asked again from the same old state:
//!   `no_claim_against_known_refusal`.
//! - [`Rule::UnavailableNodesAreNotChosen`]: a draining, departed or silent node is claimed on:
//!   `no_claim_to_unavailable`.
//! - [`Rule::GoneEndsTheAttempt`]: one attempt claims without end: `bounded`.
//! - [`Rule::BundlesAreChosenWhole`]: a member is confirmed, and for another there is no place:
//!   `bundles_end_whole`.
//! - [`Rule::RoomIsPassedOn`]: of two attempts that wait the first is asked again, for there is room
//!   for one, and gives up; the other is never asked: `every_request_ends`.
//!
//! # Limits
//!
//! Every map and every count has a limit, in [`Limits`], and reaching one leaves a [`Notice`]. Some
//! limits refuse ([`Reason::Full`], [`Placement::Overloaded`], [`Placement::Exhausted`],
//! [`Outcome::Overloaded`], [`Outcome::Exhausted`]); some ignore (a subscriber or a node too many);
//! some fall back on what is always possible: a snapshot for a log that is too short, a new life
//! for a table of fences that is full, waiting for a window of claims that is full.
//!
//! # Time
//!
//! Nothing that must be true depends on time. Each [`Timer`] may fire early, late, or when it no
//! longer matters, and the checker fires them so. [`Intervals`] set the pace alone. A suspicion may
//! be false: it keeps a scheduler from choosing the node and ends the attempts that wait for its
//! verdict, and the next word of the node clears it.
//!
//! # What it does not do
//!
//! - A node that lost its disk is another node: it must come back under a new name. Under the old
//!   one its lives would repeat and what it had promised would be forgotten.
//! - Senders are taken at their word. Keeping liars out is left to whoever carries the datagrams.
//! - A client whose chosen node is dead waits. It has confirmed, or may have: to choose again could
//!   run the request twice. Its operator ends this with [`client::Order::NodeOver`].
//! - Which of the eligible nodes is chosen is left to the driver ([`machine::Choice`]). What is
//!   checked is checked for every choice.
//! - A bundle of which a member is gone when its client starts again is given up, even where the
//!   others run: the client cannot tell, and cannot seek what it has forgotten.
//! - What depends on more than one node, such as keeping two requests in different zones, is not
//!   judged here.
//!
//! # What the checker changed
//!
//! Found by the checker, as a run that broke the property named:
//!
//! - *Sums keep no 0* (`views_are_real_states`). The sum of a class whose last allocation had ended
//!   kept an entry of 0 in a scheduler's view, and had none at the node. See [`Resources`].
//! - *A later word ends a granted reservation* (`own_claims_count_once`, in `copy_of_a_grant` and
//!   `late_claim_after_node_restart`). A scheduler that had heard of a grant, and whose cache did not
//!   cover it yet, took no notice when it then heard that the allocation was gone, and went on
//!   setting it aside.
//! - *A break comes before what follows it* (`every_request_ends`, in `connection_breaks`). A
//!   connection broke, another was made, a call arrived over it, and only then the scheduler noticed
//!   the break: it closed the new attempt too, which nobody then answered. So a driver must give
//!   [`scheduler::Input::Disconnected`] and [`client::Input::Disconnected`] before anything that
//!   arrives over a later connection.
//!
//! Found by the simulator, in one of 2,000 fault schedules, and then by the checker once a scenario had
//! few enough claims for an attempt:
//!
//! - *Room is passed on* (`every_request_ends`, in `without_room_is_passed_on`). When a node had room
//!   again, as many of the attempts that waited were asked as there was room for. One of them gave up,
//!   for it had made as many claims as it may: the room was still there, nothing more was learnt of the
//!   node, and who was left waiting waited for ever. The same came of a connection that broke.
//! - *Attempts wait in the order in which they came* (found by the test that names decide nothing, in
//!   `room_is_passed_on`). They were asked in the order of their names, so that a request of a low
//!   number went before all others, and two clusters that differ in names alone did not do the same:
//!   what the checker counts as one state up to names was not one.
//!
//! Found by the tests of the machines:
//!
//! - A verdict moves an attempt only if the attempt waits for that very claim: after a break, the
//!   claim of an earlier attempt of the same name may still be open.
//! - A late leave of an older life does not undo what is known of a later one.
//! - A client whose choice is gone while another attempt is open sets the timer of that attempt again.

pub mod client;
pub mod collections;
pub mod config;
pub mod host_state;
pub mod id;
pub mod machine;
pub mod message;
pub mod node;
pub mod notice;
pub mod resources;
pub mod scheduler;

pub use client::Client;
pub use collections::{Given, Map, Set, SmallMap, SmallSet};
pub use config::{Config, Intervals, Limits, Rule, Rules};
pub use host_state::{Changes, HostState, Reason, Relation, Status};
pub use id::{
    Actor, Address, AttemptId, AttemptNumber, ClaimId, ClaimIdError, ClaimNumber, ClientId,
    Incarnation, NodeId, RequestId, SchedulerId, Stamp, Turn, Version,
};
pub use machine::{Choice, Machine, Output, Record, Timer};
pub use message::{
    Answer, Body, Call, Claim, Datagram, Decision, Delta, Leave, Outcome, Placement, Refusal,
    Resync, Snapshot, Verdict,
};
pub use node::Node;
pub use notice::{Guard, Notice};
pub use resources::{
    ClassInventory, Demand, GroupId, GroupIdError, Inventory, Name, NameError, ResourceClass,
    Resources,
};
pub use scheduler::Scheduler;
