#include "ipc/wire.h"

#include <zmq.h>

#include "base/check.h"
#include "ipc/link.h"

static void set_int(void *s, int option, int value)
{
	check(zmq_setsockopt(s, option, &value, sizeof(value)) == 0);
}

void *wire_socket(void *context, int type, const char *identity)
{
	void *s = zmq_socket(context, type);
	int64_t max = WIRE_FRAME_MAX;

	check(s != NULL);
	if (identity)
		check(zmq_setsockopt(s, ZMQ_ROUTING_ID, identity, strlen(identity)) == 0);
	set_int(s, ZMQ_SNDHWM, WIRE_HWM);
	set_int(s, ZMQ_RCVHWM, WIRE_HWM);
	set_int(s, ZMQ_LINGER, 300);
	check(zmq_setsockopt(s, ZMQ_MAXMSGSIZE, &max, sizeof(max)) == 0);
	if (type == ZMQ_ROUTER) {
		set_int(s, ZMQ_ROUTER_MANDATORY, 1);
		set_int(s, ZMQ_ROUTER_HANDOVER, 1);
	} else {
		set_int(s, ZMQ_IMMEDIATE, 1);
		set_int(s, ZMQ_RECONNECT_IVL, 20);
		set_int(s, ZMQ_RECONNECT_IVL_MAX, 100);
	}
	return s;
}

void wire_control(struct str *out, uint64_t from_boot, uint64_t to_boot)
{
	link_header_put(out, &(struct link_header){
				     .frame = LINK_CONTROL,
				     .count = 1,
				     .from_boot = from_boot,
				     .to_boot = to_boot,
			     });
}

bool wire_send(void *socket, const char *identity, struct slice frame)
{
	if (identity &&
	    zmq_send(socket, identity, strlen(identity), ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
		return false;
	return zmq_send(socket, frame.data, frame.len, ZMQ_DONTWAIT) >= 0;
}
