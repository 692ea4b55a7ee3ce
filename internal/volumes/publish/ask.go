package publish

import (
	"time"

	"laterna.dev/laterna/internal/volumes/tokencache"
	"laterna.dev/laterna/internal/wait"
)

// known tells whether there is an answer for everything that v shows, and asks for
// tokens that nobody has asked for.
func (v *volume) known() bool {
	all := true
	for _, object := range v.kept {
		_, _, known := object.Peek()
		all = all && known
	}
	for request := range v.tokens {
		if _, _, known := v.pub.cfg.Tokens.Peek(request); !known && !v.ask(request) {
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
func (v *volume) ask(r tokencache.Request) (refused bool) {
	v.state.Lock()
	defer v.state.Unlock()
	if !v.asking[r] {
		v.asking[r] = true
		v.pod.busy.Go(func() { v.fetch(r) })
	}
	return v.refused[r] != nil
}

func (v *volume) fetch(r tokencache.Request) {
	ctx := v.pod.ctx
	for try := 1; ; try++ {
		_, err := v.pub.cfg.Tokens.Token(ctx, r) // a new token marks the volume by itself
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
			v.pub.queue.Add(v)
		}
		if err == nil {
			return
		}
		if !wait.Pause(ctx, v.pub.cfg.Clock, wait.Spread(asks.After(try), 2)) {
			return
		}
	}
}

// token returns what is known of a token, or why there is none.
func (v *volume) token(r tokencache.Request) (none tokencache.Token, err error) {
	token, err, known := v.pub.cfg.Tokens.Peek(r)
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
