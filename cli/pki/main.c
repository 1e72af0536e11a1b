/*
 * pki - keys and certificates of an instance: makes requests and a lab CA, shows and judges what is
 * there (FEATURES 1.4).
 */
#include "cli/pki/pki_run.h"

#define REQUEST_OPERANDS "BASENAME [ATTRIBUTE:VALUE]..."
#define ATTRIBUTES                                                                                 \
	"CN: the domain or host name; OU:, O:, L:, ST:, C: who asks (quote values with spaces);\n" \
	"subjectAltName: more host names and addresses, with commas and no spaces between. The\n"  \
	"CN is added to that list. subAltName: is the same. BASENAME: letters, digits, '-', "      \
	"'_'.\n"                                                                                   \
	"Files that are there already are left alone without --force."

static const struct command commands[] = {
	{"", "", 0, 0, pki_run_usage,
	 .help = "shows which component uses which key, certificate and bundle, and whether they "
		 "fit"},
	{"list", "", 0, 0, pki_run_list,
	 .help = "lists what lies in the instance's pki/: keys, certificates, requests, bundles\n\n"
		 "Whatever came there by SFTP or cp is listed under its name, with its kind, and a "
		 "line for\n"
		 "each file that needs something done."},
	{"csr", REQUEST_OPERANDS, 1, 64, pki_run_csr,
	 .help = "makes a key and a request for a certificate\n\n"
		 "Writes pki/BASENAME.key (ECDSA P-256, or --type rsa; mode 0600) and "
		 "BASENAME.csr, "
		 "both or\n"
		 "none. Send the .csr to a CA; put what it returns beside the key. CN: must be "
		 "given.\n" ATTRIBUTES},
	{"selfsigned", REQUEST_OPERANDS, 1, 64, pki_run_selfsigned,
	 .help = "makes a key and a certificate that it signs itself, for laboratories\n\n"
		 "Writes pki/BASENAME.key and BASENAME.crt, valid for a year. Without CN: it is "
		 "for "
		 "the domains\n"
		 "of the instance and this host.\n" ATTRIBUTES},
	{"match", "KEY CERTIFICATE", 2, 2, pki_run_match,
	 .help = "says whether a key and a certificate (or a request) belong together\n\n"
		 "Exit status 0 when they do, 1 when not. Files as named, else in the instance's "
		 "pki/.",
	 .anywhere = true},
	{"verify", "CERTIFICATE BUNDLE [ROOT]", 2, 3, pki_run_verify,
	 .help = "judges a certificate with the CA's bundle: whole, in order, in date, for a "
		 "server\n\n"
		 "Shows the chain as a server sends it. With ROOT, a file of CA certificates, it "
		 "must lead to\n"
		 "one of them. Says which link is missing. Files as named, else in the instance's "
		 "pki/.",
	 .anywhere = true},
	{"unlock", "KEY", 1, 1, pki_run_unlock,
	 .help = "takes the pass phrase off a key, in place\n\n"
		 "Services need keys without one. It is asked for without echo, or read from "
		 "standard input\n"
		 "(one line) with --passphrase-stdin.",
	 .anywhere = true},
	{"lab", "--domain DOMAIN", 0, 0, pki_run_lab,
	 .help = "makes a lab CA and a server certificate signed by it\n\n"
		 "Writes pki/ca.pem, ca.key, server.crt (server certificate, then CA) and "
		 "server.key, all\n"
		 "ECDSA P-256. The server's certificate names DOMAIN, *.DOMAIN, this host, every "
		 "--host\n"
		 "and 127.0.0.1. Files that are there already are left alone without --force.\n"
		 "--add makes pki/DOMAIN.crt and DOMAIN.key only, signed by the lab CA that is "
		 "there."},
	{"inspect", "FILE", 1, 1, pki_run_inspect,
	 .help = "says what is in a file of keys, certificates or requests\n\n"
		 "PEM or DER; FILE as named, else in the instance's pki/. Every object of a bundle "
		 "gets a\n"
		 "block of its own.",
	 .anywhere = true},
};

static const struct command_option options[] = {
	{"--domain", COMMAND_TEXT, offsetof(struct pki_values, domain), "DOMAIN", "lab",
	 "the XMPP domain that the certificate is for"},
	{"--host", COMMAND_TEXTS, offsetof(struct pki_values, hosts), "NAME", "lab",
	 "one more host name or IP address; may be given again"},
	{"--add", COMMAND_FLAG, offsetof(struct pki_values, add), NULL, "lab",
	 "one more domain, signed by the lab CA that is there"},
	{"--type", COMMAND_TEXT, offsetof(struct pki_values, type), "ecdsa|rsa", "csr|selfsigned",
	 "kind of key (default: ecdsa, P-256)"},
	{"--bits", COMMAND_NUMBER, offsetof(struct pki_values, bits), "N", "csr|selfsigned",
	 "of an RSA key: 2048 (default) to 8192"},
	{"--passphrase-stdin", COMMAND_FLAG, offsetof(struct pki_values, phrase_stdin), NULL,
	 "unlock", "the pass phrase is the first line of standard input"},
	{"--force", COMMAND_FLAG, offsetof(struct pki_values, force), NULL, "lab|csr|selfsigned",
	 "replace the files that are there"},
};

static const struct command_program program = {
	.name = "pki",
	.summary = "keys and certificates of a Roundhouse instance",
	.commands = commands,
	.ncommands = sizeof(commands) / sizeof(commands[0]),
	.options = options,
	.noptions = sizeof(options) / sizeof(options[0]),
};

int main(int argc, char **argv)
{
	struct pki_values values = {0};

	return command_main(&program, argc, argv, &values);
}
