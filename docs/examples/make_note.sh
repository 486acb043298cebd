#!/bin/sh
# A task in shell: writes a note into a folder, and takes it away again on undo. Needs jq.
#
# {"program": "make_note", "undo": true, "input": {"folder": "/srv/notes", "text": "hello", "seconds": 1}}
set -eu

call=$(cat)
of() { printf '%s' "$call" | jq -r "$1"; }

folder=$(of .input.folder)
# The key is the same in every attempt and in the undo: so is the file.
note="$folder/$(of .idempotency_key | tr / -).txt"

case $(of .call) in
undo)
    rm -f "$note"
    ;;
run)
    # SIGINT is the request to stop; ten seconds later comes SIGKILL.
    trap 'echo "@fail note.stopped I was asked to stop."; exit 1' INT
    [ -d "$folder" ] || {
        echo "@retry 1 note.no_folder The folder $folder is not there yet."
        exit 0
    }
    echo "@progress 10 Writing the note"
    of .input.text >"$note"
    # In the background, so that the trap is heard at once.
    sleep "$(of '.input.seconds // 0')" &
    wait $!
    echo "written"
    echo "@output $(jq -cn --arg path "$note" '{path: $path}')"
    ;;
esac
