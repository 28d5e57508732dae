#!/bin/sh
# One HTTP request to the stand-in, on the connection that nc gives it.
read -r method path _ || exit
length=0
while IFS= read -r line; do
  line=$(printf %s "$line" | tr -d '\r')
  [ -n "$line" ] || break
  case $line in [Cc]ontent-[Ll]ength:*) length=${line#*: } ;; esac
done
body=$(head -c "$length")
name=$(cat /tmp/name)
answers() { # status, type, text
  printf 'HTTP/1.1 %s\r\nContent-Type: %s\r\nConnection: close\r\nContent-Length: %s\r\n\r\n%s' \
    "$1" "$2" "${#3}" "$3"
}
piece() { printf 'data: {"id":"1","object":"chat.completion.chunk","model":"%s","choices":[%s]%s}\n\n' "$name" "$1" "$2"; }
case "$method $path" in
  "GET /health") answers "200 OK" text/plain "" ;;
  "GET /v1/models") answers "200 OK" application/json "{\"object\":\"list\",\"data\":[{\"id\":\"$name\",\"object\":\"model\"}]}" ;;
  "POST /v1/chat/completions")
    case $body in *"\"$name\""*) ;; *) answers "404 Not Found" application/json '{"error":{"message":"The model does not exist."}}' && exit ;; esac
    printf 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n'
    for word in a container answers this; do piece "{\"index\":0,\"delta\":{\"content\":\"$word \"}}"; done
    piece '{"index":0,"delta":{},"finish_reason":"stop"}'
    piece "" ',"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}'
    printf 'data: [DONE]\n\n'
    ;;
  *) answers "404 Not Found" application/json '{"error":{"message":"not here"}}' ;;
esac
