/*
 * cm_sm - stream management (XEP-0198) as the core of a stream sees it: what is said when.
 *
 * Pure. The counters that matter belong to custody and the router (CUSTODY 1, 7, 10): they come
 * with the events. Here is counted what came, to know whether an unasked <a/> is owed, and what was
 * asked. Counters are modulo 2^32 (section 4).
 */
#ifndef CM_CM_SM_H
#define CM_CM_SM_H

#include <stdbool.h>
#include <stdint.h>

#include "cm/cm_effects.h"

struct xml_node;

enum cm_sm_state { CM_SM_OFF, CM_SM_ASKED, CM_SM_ON };

struct cm_sm {
	uint8_t state; /* enum cm_sm_state */
	bool resumable;
	bool early_r; /* <r/> came before <enabled/> was said */
	bool owes;    /* an unasked <a/> when h reaches `owed` */
	bool asked;   /* our <r/> is unanswered */
	bool soon;    /* CM_ACK_SOON runs */
	uint32_t in;  /* stanzas that came since <enable/> */
	uint32_t owed;
	uint32_t acked;	   /* the peer's last h */
	uint32_t asked_at; /* stanzas that were out at our last <r/> */
};

/* What the stream waits for after CM_FX_ACK_WAIT. */
enum cm_ack_wait {
	CM_ACK_NONE,   /* nothing */
	CM_ACK_ANSWER, /* for <a/> */
	CM_ACK_AGAIN,  /* until it may ask again: cm_sm_ask_again() */
	CM_ACK_SOON,   /* for more to ask about at once: the same */
};

/* Says <failed/>: <enable/>, <resume/> or another of its elements where it cannot be. */
void cm_sm_refuse(struct cm_effects *fx, const char *condition, const char *text);

/* The previd and h of a <resume/>; NULL when it has none that are good (bad-request). */
const char *cm_sm_parse_resume(const struct xml_node *t, uint32_t *h);

void cm_sm_count(struct cm_sm *sm); /* a stanza goes to the router */

/* One of its elements on a bound stream, h: stanzas of the peer that are secured. false: an <a/>
 * without a number, a stream error is in order. */
bool cm_sm_element(struct cm_sm *sm, const struct xml_node *t, uint32_t h, struct cm_effects *fx);

void cm_sm_enabled(struct cm_sm *sm, struct slice id, uint32_t max_s, uint32_t h,
		   struct cm_effects *fx);
void cm_sm_held(struct cm_sm *sm, uint32_t h, struct cm_effects *fx);

/* unacked: stanzas for the peer that it has not acknowledged. flush: some were written, or an <a/>
 * came. */
void cm_sm_flush(struct cm_sm *sm, uint64_t unacked, struct cm_effects *fx);
void cm_sm_ask_again(struct cm_sm *sm, uint64_t unacked, struct cm_effects *fx);

/* RESUMED came for a <resume/> with that h. */
void cm_sm_resumed(struct cm_sm *sm, struct slice previd, uint32_t h, uint32_t acked,
		   struct cm_effects *fx);

/* section 6: writes the element, the text to scratch (returned). */
const char *cm_sm_range(char element[128], uint32_t h, uint32_t sent, struct cm_effects *fx);

/* It is on, and h = everything that the peer sent since. */
bool cm_sm_all_held(const struct cm_sm *sm, uint32_t h);

#endif
