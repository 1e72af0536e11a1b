#!/bin/sh
# A component that sends messages back: callbridge run --name echo ... --exec examples/echo.sh
# Each line of standard input is a stanza whose attributes begin with from and to.
exec sed -unE -e "/^<message [^>]* type='error'/d" \
	-e "/<body>/s/^<message from='([^']*)' to='([^']*)'/<message from='\2' to='\1'/p"
