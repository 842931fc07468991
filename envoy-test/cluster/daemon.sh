#!/bin/sh
# daemon.sh DIRECTORY NAME PROGRAM...: starts a program in the background, in this directory, with its process id in pid/NAME.
cd "$1" || exit
name=$2; shift 2
setsid sh -c 'echo $$ > "pid/$0"; exec "$@"' "$name" "$@" >> "log/$name.log" 2>&1 < /dev/null &
