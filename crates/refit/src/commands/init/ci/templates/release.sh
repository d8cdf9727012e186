# A branch that is new, or was pushed with force, has no commit before: everything is looked at.
git cat-file -e "$BEFORE^{commit}" 2>/dev/null || BEFORE=0000000000000000000000000000000000000000
# A Dockerfile that cannot be read (exit code 1) does not keep the others from being built.
images=$(refit images --changed "$BEFORE..$AFTER" --with-dependents --name-only) || [ $? -eq 1 ]
if [ -n "$images" ]; then
  printf '%s\n' "$images" | xargs refit build --push
fi
