# Completion in bash for xmpp, pki, dns, callbridge and supervisor. What there is to choose from comes
# from the programs themselves (PROGRAM --commands), so it is what they take.
# Installed as PREFIX/share/bash-completion/completions/NAME; by hand: . packaging/completion/roundhouse.bash

# Words of the line that are neither options nor their values, into the array `plain`; the option that
# waits for its value, into `waiting`.
_roundhouse_plain() {
	local i word
	plain=() waiting=
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == -?* ]]; then
			if [[ -n ${operand_of[$word]-} ]]; then
				((i + 1 == COMP_CWORD)) && waiting=$word
				((i++))
			fi
		else
			plain+=("$word")
		fi
	done
}

# Does an option that belongs to "user add|user passwd" belong to $command?
_roundhouse_applies() {
	[[ -z $1 || "|$1|" == *"|$command|"* ]]
}

_roundhouse() {
	local cur=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]}
	local kind name operand only help line i command= operands= waiting next
	local -a plain words commands commands_operands options options_only
	local -A operand_of
	COMPREPLY=()
	while IFS= read -r line; do
		# Tabs part the fields; as white space read would take several for one.
		IFS=$'\x1f' read -r kind name operand only help <<<"${line//$'\t'/$'\x1f'}"
		case $kind in
		command)
			commands+=("$name") commands_operands+=("$operand")
			;;
		option)
			options+=("$name") options_only+=("$only")
			[[ -n $operand ]] && operand_of[$name]=$operand
			;;
		esac
	done < <("$program" --commands 2>/dev/null)
	_roundhouse_plain
	if [[ -n $waiting ]]; then
		case ${operand_of[$waiting]} in
		*DIR*) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
		*FILE*) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
		esac
		return
	fi
	for i in "${!commands[@]}"; do
		read -ra words <<<"${commands[i]}"
		if ((${#words[@]})) && [[ " ${plain[*]} " == " ${commands[i]} "* ]]; then
			command=${commands[i]} operands=${commands_operands[i]}
		fi
		next=${words[${#plain[@]}]-}
		if [[ -n $next && $next == "$cur"* &&
			" ${plain[*]}" == " ${words[*]:0:${#plain[@]}}" ]]; then
			COMPREPLY+=("$next")
		fi
	done
	if [[ $cur == -* ]]; then
		for i in "${!options[@]}"; do
			if [[ ${options[i]} == "$cur"* ]] && _roundhouse_applies "${options_only[i]}"; then
				COMPREPLY+=("${options[i]}")
			fi
		done
	elif [[ -n $command && $operands =~ FILE|DIR|KEY|CERT|BUNDLE && ${#COMPREPLY[@]} -eq 0 ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
	if ((${#COMPREPLY[@]})); then
		mapfile -t COMPREPLY < <(printf '%s\n' "${COMPREPLY[@]}" | sort -u)
	fi
}

complete -F _roundhouse xmpp pki dns callbridge supervisor
