#!/usr/bin/python3
"""Hostile clients: XML that is not well-formed, not allowed (RFC 6120 11), or at the limits."""
import re
import sys

from hostile import JULIET, ROMEO, Raw, main, reach, says, stanza, still_serves, stream_error

STANZA = 262144  # limits.stanza_bytes
DEPTH = 64
ATTRIBUTES = 64


def deep(levels):
    """An element below which the whole stanza is so many levels deep."""
    inner = levels - 2
    return "<message id='e'><body/>" + "<x xmlns='urn:x'>" + "<y>" * inner + "</y>" * inner + \
        "</x></message>"


def wide(attributes):
    return "<message id='e'><x xmlns='urn:x' " + \
        " ".join(f"a{i}='b'" for i in range(attributes)) + "/></message>"


def sized(size, to="localhost"):
    start, end = f"<message id='e' to='{to}'><body>", "</body></message>"
    return start + "x" * (size - len(start) - len(end)) + end


def body(data):
    return b"<message><body>" + data + b"</body></message>"


malformed = stream_error("not-well-formed")
restricted = stream_error("restricted-xml")

ROWS = [
    ("tags_that_do_not_match", "bound", "<message><body>a</message></body>", malformed),
    ("an_attribute_without_quotes", "bound", "<message to=romeo@localhost/>", malformed),
    ("an_attribute_twice", "bound", "<message to='a@localhost' to='b@localhost'/>", malformed),
    ("the_same_attribute_by_two_prefixes", "bound",
     "<message xmlns:a='urn:x' xmlns:b='urn:x'><x a:c='1' b:c='2'/></message>",
     stream_error("not-well-formed|bad-namespace-prefix")),
    ("a_control_character", "bound", body(b"\x01"), malformed),
    ("a_zero_byte", "bound", body(b"a\0b"), malformed),
    ("a_reference_to_a_control_character", "bound", body(b"&#1;"), malformed),
    ("a_reference_to_a_surrogate", "bound", body(b"&#xD800;"), malformed),
    ("a_reference_beyond_unicode", "bound", body(b"&#x110000;"), malformed),
    ("a_reference_without_end", "bound", body(b"&amp"), malformed),
    ("bad_utf8_in_a_body", "bound", body(b"\xc3\x28"), malformed),
    ("an_overlong_utf8_sequence", "bound", body(b"\xc0\xaf"), malformed),
    ("a_surrogate_in_utf8", "bound", body(b"\xed\xa0\x80"), malformed),
    ("utf8_beyond_unicode", "bound", body(b"\xf4\x90\x80\x80"), malformed),
    ("a_noncharacter_in_utf8", "bound", body(b"\xef\xbf\xbf"), malformed),
    ("a_less_than_sign_in_an_attribute", "bound", "<message id='<'/>", malformed),
    ("a_bare_end_of_cdata", "bound", body(b"]]>"), malformed),
    ("a_dtd_between_stanzas", "bound", "<!DOCTYPE a [<!ENTITY b 'c'>]>", restricted),
    ("a_dtd_within_a_stanza", "bound", "<message><!DOCTYPE a><body/></message>", restricted),
    ("a_billion_laughs", "bound", "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>"
     "<!ENTITY c '&b;&b;&b;&b;'>]><message><body>&c;</body></message>", restricted),
    ("an_external_entity", "bound", "<!DOCTYPE l [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
     "<message><body>&a;</body></message>", restricted),
    ("a_comment_between_stanzas", "bound", "<!-- hello -->", restricted),
    ("a_comment_within_a_stanza", "bound", "<message><!-- a --><body/></message>", restricted),
    ("a_comment_before_the_login", "tls", "<!-- hello -->", restricted),
    ("a_processing_instruction", "bound", "<message><?php exit ?></message>", restricted),
    ("an_xml_declaration_in_a_session", "bound", "<?xml version='1.0'?>",
     stream_error("not-well-formed|restricted-xml")),
    ("an_entity_that_is_not_predefined", "bound", body(b"&nbsp;"), restricted),
    ("an_unbound_prefix", "bound", "<message><a:b/></message>",
     stream_error("bad-namespace-prefix")),
    ("an_unbound_prefix_of_an_attribute", "bound", "<message><b a:c='d'/></message>",
     stream_error("bad-namespace-prefix")),
    ("a_name_with_two_colons", "bound", "<message xmlns:a='urn:x'><a:b:c/></message>",
     stream_error("not-well-formed|bad-namespace-prefix")),
    ("the_prefix_xml_bound_to_something_else", "bound",
     "<message xmlns:xml='urn:x'><body/></message>",
     stream_error("not-well-formed|bad-namespace-prefix")),
    ("the_prefix_xmlns_declared", "bound", "<message xmlns:xmlns='urn:x'><body/></message>",
     stream_error("not-well-formed|bad-namespace-prefix")),
    ("a_prefix_bound_to_nothing", "bound", "<message xmlns:a=''><a:b/></message>",
     stream_error("not-well-formed|bad-namespace-prefix")),
    ("an_element_name_that_begins_with_a_digit", "bound", "<message><1/></message>", malformed),
    ("a_stanza_too_large", "bound", "<message to='romeo@localhost'><body>" + "a" * 2000000,
     stream_error("policy-violation")),
    ("a_stanza_one_byte_too_large", "bound", sized(STANZA + 1), stream_error("policy-violation")),
    ("a_stanza_as_large_as_allowed", "bound", sized(STANZA),
     stanza("message", "service-unavailable")),
    ("a_stanza_one_byte_smaller", "bound", sized(STANZA - 1),
     stanza("message", "service-unavailable")),
    ("a_stanza_far_too_deep", "bound", deep(2000), stream_error("policy-violation")),
    ("a_stanza_one_level_too_deep", "bound", deep(DEPTH + 1), stream_error("policy-violation")),
    ("a_stanza_as_deep_as_allowed", "bound", deep(DEPTH), says("id='e'")),
    ("a_tag_with_far_too_many_attributes", "bound", wide(2000), stream_error("policy-violation")),
    ("a_tag_with_one_attribute_too_many", "bound", wide(ATTRIBUTES),
     stream_error("policy-violation")),
    ("a_tag_with_as_many_attributes_as_allowed", "bound", wide(ATTRIBUTES - 1),
     says("id='e'")),
    ("a_tag_name_of_100000_bytes", "bound", f"<message><{'n' * 100000}/></message>",
     lambda c: None),
    ("a_start_tag_that_never_ends", "bound", "<message a='" + "x" * 2000000,
     stream_error("policy-violation")),
    ("text_that_never_ends", "bound", "<message><body>" + "<![CDATA[" + "x" * 2000000,
     stream_error("policy-violation")),
    ("100000_namespaces_in_one_stanza", "bound",
     "<message>" + "".join(f"<a xmlns='u:{i}'/>" for i in range(100000)) + "</message>",
     stream_error("policy-violation")),
]


def delivered(rh, data):
    """Sends it as juliet to romeo; what romeo gets."""
    with Raw(rh) as juliet, Raw(rh) as romeo:
        juliet.login(*JULIET)
        to = romeo.login(*ROMEO)
        juliet.send(data.replace("ROMEO", to))
        return romeo.expect("<message .*?</message>").group(0).decode()


def a_prefixed_stanza_arrives_as_an_ordinary_one(rh):
    m = delivered(rh, "<c:message xmlns:c='jabber:client' to='ROMEO' type='chat'>"
                      "<c:body>hello</c:body><x xmlns='urn:x' c:y='z'>k</x></c:message>")
    assert "<body>hello</body>" in m, m
    assert re.match("<message [^>]*from=.juliet@localhost/raw.", m), m
    still_serves(rh)


def a_redeclared_content_namespace_arrives_as_an_ordinary_stanza(rh):
    m = delivered(rh, "<message xmlns='jabber:client' to='ROMEO' type='chat'>"
                      "<body xmlns='jabber:client'>hello</body></message>")
    assert re.search("<body( xmlns=.jabber:client.)?>hello</body>", m), m
    still_serves(rh)


def a_default_namespace_that_is_not_ours_stays_with_its_element(rh):
    m = delivered(rh, "<c:message xmlns:c='jabber:client' xmlns='urn:other' to='ROMEO'>"
                      "<c:body>hello</c:body><note>n</note></c:message>")
    assert re.search("<note xmlns=.urn:other.>n</note>", m) or \
        re.search("<([a-z0-9]+):note xmlns:\\1=.urn:other.>n</\\1:note>", m), m
    assert re.search("<body>hello</body>", m), m
    still_serves(rh)


def every_kind_of_escape_arrives_as_the_same_text(rh):
    m = delivered(rh, "<message to='ROMEO' type='chat'><body>&lt;&gt;&amp;&apos;&quot;&#x41;&#66;"
                      "<![CDATA[<c>&]]></body></message>")
    import xml.etree.ElementTree as ET
    text = ET.fromstring(m.replace("<message", "<message xmlns:xml='http://www.w3.org/XML/1998/"
                                   "namespace'", 1)).findtext("body")
    assert text == "<>&'\"AB<c>&", text
    still_serves(rh)


def a_message_of_100000_element_names_does_not_make_the_process_larger(rh):
    """100,000 different names, in stanzas that are allowed: what libxml2 remembers is bounded."""
    from hostile import memory, memory_back
    with Raw(rh) as c:
        reach(c, "bound")
        c.send("<message to='localhost' type='headline'><n0/></message>")
        c.ping()
        before = memory(rh)
        for i in range(0, 100000, 1000):
            c.send("<message to='localhost' type='headline'>" +
                   "".join(f"<name{i + k}/>" for k in range(1000)) + "</message>")
        c.ping()
    memory_back(rh, before, 8 << 20)
    still_serves(rh)


if __name__ == "__main__":
    sys.exit(main(ROWS, (a_prefixed_stanza_arrives_as_an_ordinary_one,
                         a_redeclared_content_namespace_arrives_as_an_ordinary_stanza,
                         a_default_namespace_that_is_not_ours_stays_with_its_element,
                         every_kind_of_escape_arrives_as_the_same_text,
                         a_message_of_100000_element_names_does_not_make_the_process_larger)))
