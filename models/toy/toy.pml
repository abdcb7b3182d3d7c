/* The toy in Promela, written for speed and for equal counts: README.md has the rules.
 *
 * One process, one loop, one d_step (some inside an atomic) for each transition: every state that
 * Spin stores, depth first, is one state of the toy, and every transition one of the toy's. Nothing
 * is nondeterministic but the choice among the options.
 *
 * Sizes come from outside: spin -a -DCLAIMS=3 -DCAPACITY=2 -DLOSSES=1 -DCOPIES=1 -DTIMERS=1 toy.pml
 * (`toy bounds --size middle` prints them). JUDGES=0 switches off that a node judges claims.
 */
#ifndef CLAIMS
#define CLAIMS 3
#endif
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef LOSSES
#define LOSSES 0
#endif
#ifndef COPIES
#define COPIES 0
#endif
#ifndef TIMERS
#define TIMERS 0
#endif
#ifndef JUDGES
#define JUDGES 1
#endif

/* The network is a set: one bit for each message that can be. */
byte claims;   /* claim*2 + node */
int verdicts;  /* (claim*2 + node)*3 + word; word: 0 refused, 1 and 2 granted at that version */
short updates; /* link*3 + span, link = node*2 + scheduler; span: 0 is 0->1, 1 is 0->2, 2 is 1->2 */
byte beats;    /* link*2 + version - 1 */
byte resyncs;  /* link*2 + what the scheduler has */

/* The nodes: bit node*3 + claim. A node's version is the number of its grants. */
byte granted;
byte refused;

/* The schedulers: the cached version of each link; where each claim is, that is phase*2 + node
 * (phase: 0 open, 1 pending, 2 and 3 granted at 1 and 2); who refused it, bit claim*2 + node. */
byte cached0, cached1, cached2, cached3;
byte at0, at1, at2;
byte refusals;

byte losses = LOSSES;
byte copies = COPIES;
byte timers = TIMERS;

#define MINE(n) ((granted >> ((n) * 3)) & 7)
#define ONES(g) (((g) & 1) + (((g) >> 1) & 1) + ((g) >> 2))
#define VERSION(n) ONES(MINE(n))

/* Does claim c weigh on node n beyond what cache k has of it? */
#define WEIGHS(c, n, k) \
  ((at##c == 2 + (n)) || (at##c > 3 && (at##c & 1) == (n) && (at##c >> 1) - 1 > k))
#define RESERVED0(n, k) (WEIGHS(0, n, k) + WEIGHS(2, n, k))
#define RESERVED1(n, k) WEIGHS(1, n, k)

/* A scheduler finds a place for claim c on node n, by its cache k alone. */
#define PLACE(c, n, k, reserved) \
  :: d_step { c < CLAIMS && at##c == 0 && !(refusals & (1 << (c*2 + n))) && \
       k + reserved < CAPACITY -> \
       at##c = 2 + n; claims = claims | (1 << (c*2 + n)) }

#define RESEND(c) \
  :: d_step { timers && (at##c >> 1) == 1 && !(claims & (1 << (c*2 + (at##c & 1)))) -> \
       timers--; claims = claims | (1 << (c*2 + (at##c & 1))) }

#define BEAT(n, link) \
  :: d_step { timers && MINE(n) && !(beats & (1 << (link*2 + VERSION(n) - 1))) -> \
       timers--; beats = beats | (1 << (link*2 + VERSION(n) - 1)) }

/* What a delivery does. */
#define VERDICT(c, n, word) verdicts = verdicts | (1 << ((c*2 + n)*3 + (word)))
#define ON_CLAIM(c, n) \
  if \
  :: granted & (1 << (n*3 + c)) -> VERDICT(c, n, VERSION(n)) \
  :: refused & (1 << (n*3 + c)) -> VERDICT(c, n, 0) \
  :: else -> \
     if \
     :: JUDGES && VERSION(n) >= CAPACITY -> \
        refused = refused | (1 << (n*3 + c)); VERDICT(c, n, 0) \
     :: else -> \
        granted = granted | (1 << (n*3 + c)); \
        assert(VERSION(n) <= CAPACITY); \
        VERDICT(c, n, VERSION(n)); \
        updates = updates | ((9 << (VERSION(n) == 2 -> 2 : 0)) << (n*6)) \
     fi \
  fi
#define ON_VERDICT(c, n, word) \
  if \
  :: at##c == 2 + n -> \
     if \
     :: word == 0 -> at##c = 0; refusals = refusals | (1 << (c*2 + n)) \
     :: else -> at##c = (word + 1)*2 + n \
     fi \
  :: else \
  fi
#define ON_UPDATE(link, from, to) \
  if \
  :: cached##link >= to \
  :: cached##link < from -> resyncs = resyncs | (1 << (link*2 + cached##link)) \
  :: else -> cached##link = to \
  fi
#define ON_BEAT(link, version) \
  if \
  :: version > cached##link -> resyncs = resyncs | (1 << (link*2 + cached##link)) \
  :: else \
  fi
#define ON_RESYNC(link, n, have) \
  if \
  :: VERSION(n) > have -> updates = updates | (1 << (link*3 + have + VERSION(n) - 1)) \
  :: else \
  fi

/* Every message, each as OP(set, bit, what its delivery does). */
#define CLAIM(OP, c, n) OP(claims, c*2 + n, ON_CLAIM(c, n))
#define CLAIMS_ALL(OP) \
  CLAIM(OP, 0, 0) CLAIM(OP, 0, 1) CLAIM(OP, 1, 0) CLAIM(OP, 1, 1) CLAIM(OP, 2, 0) CLAIM(OP, 2, 1)
#define WORDS(OP, c, n) \
  OP(verdicts, (c*2 + n)*3, ON_VERDICT(c, n, 0)) \
  OP(verdicts, (c*2 + n)*3 + 1, ON_VERDICT(c, n, 1)) \
  OP(verdicts, (c*2 + n)*3 + 2, ON_VERDICT(c, n, 2))
#define VERDICTS_ALL(OP) \
  WORDS(OP, 0, 0) WORDS(OP, 0, 1) WORDS(OP, 1, 0) WORDS(OP, 1, 1) WORDS(OP, 2, 0) WORDS(OP, 2, 1)
#define SPANS(OP, link) \
  OP(updates, link*3, ON_UPDATE(link, 0, 1)) \
  OP(updates, link*3 + 1, ON_UPDATE(link, 0, 2)) \
  OP(updates, link*3 + 2, ON_UPDATE(link, 1, 2))
#define UPDATES_ALL(OP) SPANS(OP, 0) SPANS(OP, 1) SPANS(OP, 2) SPANS(OP, 3)
#define VERSIONS(OP, link) \
  OP(beats, link*2, ON_BEAT(link, 1)) OP(beats, link*2 + 1, ON_BEAT(link, 2))
#define BEATS_ALL(OP) VERSIONS(OP, 0) VERSIONS(OP, 1) VERSIONS(OP, 2) VERSIONS(OP, 3)
#define HAVES(OP, link, n) \
  OP(resyncs, link*2, ON_RESYNC(link, n, 0)) OP(resyncs, link*2 + 1, ON_RESYNC(link, n, 1))
#define RESYNCS_ALL(OP) HAVES(OP, 0, 0) HAVES(OP, 1, 0) HAVES(OP, 2, 1) HAVES(OP, 3, 1)

#define DELIVER(set, bit, effect) \
  :: d_step { set & (1 << (bit)) -> set = set ^ (1 << (bit)); effect }
#define COPY(set, bit, effect) \
  :: d_step { copies && (set & (1 << (bit))) -> copies--; effect }
#define LOSE(set, bit, effect) \
  :: d_step { losses && (set & (1 << (bit))) -> losses--; set = set ^ (1 << (bit)) }
#define EACH(OP) CLAIMS_ALL(OP) VERDICTS_ALL(OP) UPDATES_ALL(OP) BEATS_ALL(OP) RESYNCS_ALL(OP)

/* No guard of a copy or a loss is looked at when there is nothing to spend or to spend it on.
 * The step into the group is inside an atomic: no state is stored, no transition counted. */
#define NETWORK (claims || verdicts || updates || beats || resyncs)
active proctype toy() {
end:
  do
  PLACE(0, 0, cached0, RESERVED0(0, cached0))
  PLACE(0, 1, cached2, RESERVED0(1, cached2))
  PLACE(1, 0, cached1, RESERVED1(0, cached1))
  PLACE(1, 1, cached3, RESERVED1(1, cached3))
  PLACE(2, 0, cached0, RESERVED0(0, cached0))
  PLACE(2, 1, cached2, RESERVED0(1, cached2))
  RESEND(0)
  RESEND(1)
  RESEND(2)
  BEAT(0, 0)
  BEAT(0, 1)
  BEAT(1, 2)
  BEAT(1, 3)
  EACH(DELIVER)
#if COPIES > 0
  :: atomic { copies && NETWORK -> if EACH(COPY) fi }
#endif
#if LOSSES > 0
  :: atomic { losses && NETWORK -> if EACH(LOSE) fi }
#endif
  od
}
