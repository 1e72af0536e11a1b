/*
 * Channel binding over a real TLS connection: SCRAM-SHA-256-PLUS with tls-exporter (RFC 9266), as
 * XEP-0440 announces it. The exporter is OpenSSL's on both sides, the exchange is written out here.
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "cm-client/c2s_base64.h"
#include "tests/unit/cm-client/rig.h"

#define FIRST_BARE "n=juliet,r=clientnonce"

static int start(void **state)
{
	(void)state;
	rig_start(NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	rig_stop();
	return 0;
}

static void hmac(const void *key, const char *text, size_t len, unsigned char out[32])
{
	HMAC(EVP_sha256(), key, 32, (const unsigned char *)text, len, out, NULL);
}

/* What is between the tags, decoded. */
static void inside(const struct client *c, const char *element, struct str *out)
{
	const char *p = strstr(c->in.data, element), *end;

	assert_non_null(p);
	p = strchr(p, '>') + 1;
	end = strchr(p, '<');
	assert_true(c2s_base64_decode(out, slice_of(p, (size_t)(end - p))));
}

static bool say_base64(struct client *c, const char *start_tag, const char *end_tag,
		       const struct str *data, const char *wait)
{
	struct str text = STR_INIT;
	bool ok;

	str_adds(&text, start_tag);
	c2s_base64_encode(&text, str_slice(data));
	str_adds(&text, end_tag);
	ok = client_expect(c, text.data, wait);
	str_clear(&text);
	return ok;
}

/* client-final-message: the keys are those of the rig (password "secret", salt "salt", once). */
static void final_message(const struct str *server_first, const char *gs2,
			  const unsigned char *binding, size_t len, struct str *out)
{
	unsigned char salted[32], key[32], stored[32], signature[32];
	const char *nonce_end = strchr(server_first->data, ',');
	struct str cbind = STR_INIT, message = STR_INIT;

	str_adds(&cbind, gs2);
	str_add(&cbind, binding, len);
	str_adds(out, "c=");
	c2s_base64_encode(out, str_slice(&cbind));
	str_addf(out, ",%.*s", (int)(nonce_end - server_first->data), server_first->data);
	str_addf(&message, FIRST_BARE ",%s,%s", server_first->data, out->data);
	PKCS5_PBKDF2_HMAC("secret", 6, (const unsigned char *)"salt", 4, 1, EVP_sha256(), 32,
			  salted);
	hmac(salted, "Client Key", 10, key);
	EVP_Digest(key, 32, stored, NULL, EVP_sha256(), NULL);
	hmac(stored, message.data, message.len, signature);
	for (int i = 0; i < 32; i++)
		key[i] ^= signature[i];
	str_adds(out, ",p=");
	c2s_base64_encode(out, slice_of((char *)key, 32));
	str_clear(&cbind);
	str_clear(&message);
}

static void secure(struct client *c, int version)
{
	client_open(c);
	assert_true(client_expect(c, CLIENT_HEADER, "</stream:features>"));
	assert_true(client_expect(c, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
				  "<proceed"));
	c->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(c->ctx, version);
	c->ssl = SSL_new(c->ctx);
	SSL_set_fd(c->ssl, c->fd);
	assert_int_equal(SSL_connect(c->ssl), 1);
	assert_int_equal(SSL_version(c->ssl), version);
	assert_true(client_expect(c, CLIENT_HEADER, "</stream:features>"));
}

static bool log_in(struct client *c, const char *gs2, const unsigned char *binding, size_t len)
{
	struct str first = STR_INIT, server_first = STR_INIT, final = STR_INIT;
	bool ok;

	str_addf(&first, "%s" FIRST_BARE, gs2);
	assert_true(say_base64(c,
			       "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
			       "mechanism='SCRAM-SHA-256-PLUS'>",
			       "</auth>", &first, "</challenge>"));
	inside(c, "<challenge", &server_first);
	final_message(&server_first, gs2, binding, len, &final);
	ok = say_base64(c, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>", "</response>",
			&final, "-sasl'>") &&
	     strstr(c->in.data, "<success");
	str_clear(&first);
	str_clear(&server_first);
	str_clear(&final);
	return ok;
}

static void exporter(const struct client *c, unsigned char out[32])
{
	static const char label[] = "EXPORTER-Channel-Binding";

	assert_int_equal(SSL_export_keying_material(c->ssl, out, 32, label, sizeof(label) - 1,
						    (const unsigned char *)"", 0, 1),
			 1);
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void tls_exporter_is_announced_and_binds(void **state)
{
	unsigned char binding[32];
	struct client c;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		secure(&c, versions[i]);
		assert_non_null(strstr(c.in.data, "<mechanism>SCRAM-SHA-256-PLUS</mechanism>"));
		assert_non_null(strstr(c.in.data,
				       "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"
				       "<channel-binding type='tls-exporter'/>"));
		exporter(&c, binding);
		assert_true(log_in(&c, "p=tls-exporter,,", binding, 32));
		client_close(&c);
	}
}

/* Somebody between us would have another connection to each side. */
static void the_exporter_of_another_connection_does_not_bind(void **state)
{
	unsigned char binding[32];
	struct client c, other;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		secure(&other, versions[i]);
		exporter(&other, binding);
		secure(&c, versions[i]);
		assert_false(log_in(&c, "p=tls-exporter,,", binding, 32));
		assert_non_null(strstr(c.in.data, "<not-authorized/>"));
		client_close(&c);
		client_close(&other);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tls_exporter_is_announced_and_binds, start, stop),
		cmocka_unit_test_setup_teardown(the_exporter_of_another_connection_does_not_bind,
						start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
