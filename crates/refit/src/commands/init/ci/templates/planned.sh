# What can't be planned is no reason to leave the rest: the last job fails because of it.
exit=0
refit sweep --emit json --shards @N@ --waves @WAVES@ --summary "$SUMMARY" >"$PLAN" || exit=$?
