if ! command -v refit >/dev/null 2>&1; then
  get() {
    if command -v curl >/dev/null 2>&1; then
      curl --fail --silent --show-error --location --retry 3 --output "$2" "$1"
    else
      wget -q -O "$2" "$1"
    fi
  }
  case "$(uname -m)" in
    x86_64 | amd64) target=x86_64-unknown-linux-musl sum=@SUM_AMD64@ ;;
    aarch64 | arm64) target=aarch64-unknown-linux-musl sum=@SUM_ARM64@ ;;
    *) echo "error: there is no refit for $(uname -m)" >&2; exit 2 ;;
  esac
  if [ -z "${REFIT_RELEASES:-}" ]; then
    echo "error: refit is not installed here, and the variable REFIT_RELEASES does not say where its releases are" >&2
    exit 2
  fi
  name="refit-$REFIT_VERSION-$target"
  folder=$(mktemp -d)
  get "$REFIT_RELEASES/v$REFIT_VERSION/$name" "$folder/$name"
  if [ -n "$sum" ]; then
    echo "$sum  $name" >"$folder/sum"
  else
    get "$REFIT_RELEASES/v$REFIT_VERSION/SHA256SUMS" "$folder/SHA256SUMS"
    grep -E "^[0-9a-f]{64}  $name\$" "$folder/SHA256SUMS" >"$folder/sum" ||
      { echo "error: there is no $name in SHA256SUMS" >&2; exit 2; }
  fi
  (cd "$folder" && sha256sum -c sum)
  mkdir -p "$HOME/.local/bin"
  mv "$folder/$name" "$HOME/.local/bin/refit"
  chmod 755 "$HOME/.local/bin/refit"
  rm -r "$folder"
  export PATH="$HOME/.local/bin:$PATH"
  @KEEP_PATH@
fi
refit --version
