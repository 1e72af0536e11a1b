#include "cm/cm_errors.h"

const char *cm_errors_verdict(enum xml_verdict v, const char **text)
{
	switch (v) {
	case XML_BAD_NAMESPACE_PREFIX:
		*text = "a namespace prefix is not declared";
		return "bad-namespace-prefix";
	case XML_RESTRICTED:
		*text = "comments, processing instructions, DTDs and entities are not allowed (RFC "
			"6120 11.1)";
		return "restricted-xml";
	case XML_UNSUPPORTED_ENCODING:
		*text = "only UTF-8 is spoken here";
		return "unsupported-encoding";
	default:
		*text = "this is not well-formed XML in UTF-8";
		return "not-well-formed";
	}
}

const char *cm_errors_framer(enum framer_result r, const char **text)
{
	switch (r) {
	case FRAMER_NOT_XML:
		*text = "this is not well-formed XML in UTF-8";
		return "not-well-formed";
	case FRAMER_RESTRICTED:
		*text = "comments, processing instructions and DTDs are not allowed (RFC 6120 "
			"11.1)";
		return "restricted-xml";
	case FRAMER_TOO_BIG:
		*text = "the stanza is larger than this server takes";
		return "policy-violation";
	default:
		*text = "elements too deep or too many attributes";
		return "policy-violation";
	}
}
