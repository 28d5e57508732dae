# A tool of a simulated node: the simulator answers, in frames "o LENGTH", "e LENGTH", "x CODE".
LC_ALL=C
exec 3<>"/dev/tcp/127.0.0.1/$V32_SIM_PORT" || exit 255
printf '%s\0' "$V32_SIM_TOKEN" "${0##*/}" "$PWD" "$#" "$@" >&3
while IFS=' ' read -r -u 3 kind n; do
  case $kind in
    o) IFS= read -r -N "$n" -u 3 text; printf %s "$text" ;;
    e) IFS= read -r -N "$n" -u 3 text; printf %s "$text" >&2 ;;
    x) exit "$n" ;;
  esac
done
exit 255
