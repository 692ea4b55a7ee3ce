package publish

import (
	"time"

	"laterna.dev/laterna/internal/volumes/tokencache"
	"laterna.dev/laterna/internal/wait"
)

// known tells whether there is an answer for everything that v shows, and asks for
// tokens that nobody has asked for.
func (pub *Publisher) known(v *volume) bool {
	all := true
	for _, object := range v.kept {
		_, _, known := object.Peek()
		all = all && known
	}
	for request := range v.tokens {
		if _, _, known := pub.cfg.Tokens.Peek(request); !known && !pub.ask(v, request) {
			all = false
		}
	}
	return all
}

// quietAsks is how many refusals go by before they count: the server may hear of
// a new pod a moment after the agent does.
const quietAsks = 4

// asks are the pauses between tries for a pod's first token.
var asks = wait.Backoff{First: 10 * time.Millisecond, Most: 5 * time.Second}

// ask fetches a first token in the background, once, until it is there. It returns
// whether there is an error to show meanwhile.
func (pub *Publisher) ask(v *volume, r tokencache.Request) (refused bool) {
	v.state.Lock()
	defer v.state.Unlock()
	if !v.asking[r] {
		v.asking[r] = true
		v.pod.busy.Go(func() { pub.fetch(v, r) })
	}
	return v.refused[r] != nil
}

func (pub *Publisher) fetch(v *volume, r tokencache.Request) {
	ctx := v.pod.ctx
	for try := 1; ; try++ {
		_, err := pub.cfg.Tokens.Token(ctx, r) // a new token marks the volume by itself
		if ctx.Err() != nil {
			return
		}
		v.state.Lock()
		v.asking[r] = err != nil
		if err == nil || try >= quietAsks {
			v.refused[r] = err
		}
		v.state.Unlock()
		if err == nil || try == quietAsks {
			pub.queue.Add(v)
		}
		if err == nil {
			return
		}
		if !wait.Pause(ctx, pub.cfg.Clock, wait.Spread(asks.After(try), 2)) {
			return
		}
	}
}

// token returns what is known of a token, or why there is none.
func (pub *Publisher) token(v *volume, r tokencache.Request) (none tokencache.Token, err error) {
	token, err, known := pub.cfg.Tokens.Peek(r)
	if known {
		return token, err
	}
	v.state.Lock()
	defer v.state.Unlock()
	if err := v.refused[r]; err != nil {
		return none, err
	}
	return none, errUnknown
}
