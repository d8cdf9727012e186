# A Dockerfile that cannot be read (exit code 1) does not keep the others from being built.
images=$(refit images --changed "$BASE...HEAD" --with-dependents --name-only) || [ $? -eq 1 ]
if [ -n "$images" ]; then
  printf '%s\n' "$images" | xargs refit build
fi
