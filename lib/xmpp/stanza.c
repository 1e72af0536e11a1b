#include "xmpp/stanza.h"

#include <endian.h>

/* On the wire: u16 ns, u16 name, u32 offset, u32 length; little endian, packed. */
struct packed_child {
	uint16_t ns;
	uint16_t name;
	uint32_t offset;
	uint32_t length;
} __attribute__((packed));

void stanza_child_put(struct str *out, const struct stanza_child *c)
{
	struct packed_child p = {
		.ns = htole16(c->ns),
		.name = htole16(c->name),
		.offset = htole32(c->offset),
		.length = htole32(c->length),
	};

	str_add(out, &p, sizeof(p));
}

bool stanza_child_get(struct slice *index, struct stanza_child *c)
{
	struct packed_child p;

	if (index->len < sizeof(p)) {
		*index = SLICE_NONE;
		*c = (struct stanza_child){0};
		return false;
	}
	memcpy(&p, index->data, sizeof(p));
	index->data += sizeof(p);
	index->len -= sizeof(p);
	c->ns = le16toh(p.ns);
	c->name = le16toh(p.name);
	c->offset = le32toh(p.offset);
	c->length = le32toh(p.length);
	return true;
}
