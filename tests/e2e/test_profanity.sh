#!/bin/sh
# profanity, in a terminal: logs in with the lab CA trusted and nothing else, and chats in both
# directions. tmux is the terminal; everything lies below TMPDIR.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${BIN:=$here/../../build/bin}"
by_hand=${TMPDIR:+no}
: "${TMPDIR:=/tmp}"
export LC_ALL=C.UTF-8 TERM=screen-256color
for tool in tmux profanity; do
	command -v $tool >/dev/null || { echo "$tool is not installed: run make deps"; exit 77; }
done

work=$(mktemp -d "$TMPDIR/pXXXXXX")
chmod 755 "$work"
dir=$work/rh
sock=$work/tmux

mux() {
	tmux -S "$sock" -f /dev/null "$@"
}

finish() {
	code=$?
	trap - EXIT INT TERM HUP
	[ $code -eq 0 ] || show_all
	mux kill-server 2>/dev/null || true
	"$BIN/supervisor" -C "$dir" stop >/dev/null 2>&1 || true
	[ -n "$by_hand" ] || rm -rf "$work" # tests/run keeps or removes what it made
	exit $code
}
trap finish EXIT
trap 'exit 143' INT TERM HUP

show_all() {
	for who in juliet romeo; do
		echo "--- the screen of $who"
		mux capture-pane -p -t $who 2>/dev/null | grep -v '^ *$' || true
	done
	tail -n 15 "$dir"/log/*.log 2>/dev/null || true
}

# see WHO TEXT: waits until it stands on that screen.
see() {
	tries=0
	until mux capture-pane -p -J -t "$1" | grep -qF -- "$2"; do
		tries=$((tries + 1))
		if [ $tries -gt 600 ]; then
			echo "[  FAILED  ] waited in vain for \"$2\" on the screen of $1"
			exit 1
		fi
		sleep 0.1
	done
}

say() {
	mux send-keys -t "$1" -l -- "$2"
	mux send-keys -t "$1" Enter
}

passed() {
	echo "[       OK ] $1"
}

# terminal WHO PASSWORD: profanity with an account that trusts what $work/ca holds.
terminal() {
	home=$work/$1
	mkdir -p "$home/.config/profanity" "$home/.local/share/profanity"
	cat >"$home/.config/profanity/profrc" <<-CONF
		[connection]
		tls.certpath=$work/ca
		account=$1@localhost
		[ui]
		splash=false
	CONF
	cat >"$home/.local/share/profanity/accounts" <<-ACCOUNT
		[$1@localhost]
		enabled=true
		jid=$1@localhost
		server=127.0.0.1
		port=$port
		resource=profanity
		password=$2
		tls.policy=force
	ACCOUNT
	mux new-session -d -s "$1" -x 160 -y 45 \
		env -i PATH="$PATH" HOME="$home" TERM="$TERM" LC_ALL="$LC_ALL" TMPDIR="$TMPDIR" \
		XDG_CONFIG_HOME="$home/.config" XDG_DATA_HOME="$home/.local/share" \
		profanity -a "$1@localhost"
}

start_server() {
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
	"$BIN/supervisor" -C "$dir" init --domain localhost --listen "127.0.0.1:$port"
	"$BIN/supervisor" -C "$dir" start
	echo capulet | "$BIN/xmpp" -C "$dir" user add juliet@localhost --password-stdin
	echo montague | "$BIN/xmpp" -C "$dir" user add romeo@localhost --password-stdin
	ca=$dir/pki/ca.pem
}

if [ -n "${PEER_PORT:-}" ]; then # another server, to try the script itself
	port=$PEER_PORT
	ca=$PEER_CA
else
	start_server
fi
mkdir "$work/ca"
cp "$ca" "$work/ca/ca.pem"
openssl rehash "$work/ca"

terminal juliet capulet
terminal romeo montague
see juliet "logged in successfully"
see romeo "logged in successfully"
passed profanity_logs_in_with_the_lab_ca

say juliet "/msg romeo@localhost O Romeo, Romeo"
see romeo "juliet@localhost"
say romeo "/msg juliet@localhost Call me but love"
see romeo "O Romeo, Romeo"
see juliet "Call me but love"
passed two_terminals_chat_in_both_directions

say juliet "/quit"
say romeo "/quit"
