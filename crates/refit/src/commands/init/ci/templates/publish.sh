exit=0
refit sweep --plan "$PLAN" --publish --summary "$SUMMARY" || exit=$?
[ "$exit" -ne 0 ] || exit="$PLANNED"
