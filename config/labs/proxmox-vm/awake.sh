# Waits until ADDRESS answers as an SSH server does, WITHIN_S seconds at most.
set -u

# A refused or lost connection is tried again; one that hangs is given up after five seconds.
greets() {
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$ADDRESS/22" && head -c 4 <&3' 2>/dev/null | grep -q '^SSH-'
}

until greets; do
  if [ "$SECONDS" -ge "$WITHIN_S" ]; then
    echo "Nobody answers by SSH on $ADDRESS: look at the bridge, the network and the template's cloud-init."
    exit 1
  fi
  sleep 2
done
echo "$ADDRESS is awake."
