package serve

import (
	"errors"
	"fmt"

	"github.com/adafisher-go/adafisher/nn/checkpoint"
)

// versionName is what a checkpoint of a learner has beside those of its run.
const versionName = "serve/version"

// maxVersion leaves room to count for longer than any service runs.
const maxVersion = 1 << 63

// Checkpoint returns the state of the learner: what [checkpoint.Run.Content] has of
// its model, optimizer and session, and the number of the newest version as
// "serve/version", one of the Uints. A caller may add others. It shares memory with
// the learner: save it before that goes on. Call it in OnPublish, or when Run does
// not run; LearnerConfig.Save gets one by itself.
func (l *Learner) Checkpoint() *checkpoint.Content {
	c := l.run.Content()
	c.Uints[versionName] = l.predictor.Version()
	return c
}

// Restore continues from a checkpoint, which it copies, and publishes its model
// under the number that it has there. What is learnt after that has the bits that
// it would have had without the interruption. It must be called before Run.
//
// It fails, and changes nothing, as [checkpoint.Run.Restore] does, and if the
// version's number is missing, below that of the predictor's newest version or
// above 2^63, or the predictor can't keep the model as float16.
func (l *Learner) Restore(c *checkpoint.Content) error {
	if err := l.made("Restore"); err != nil {
		return err
	}
	if err := l.restore(c); err != nil {
		return fmt.Errorf("serve: Restore: %w", err)
	}
	return nil
}

func (l *Learner) restore(c *checkpoint.Content) error {
	if c == nil {
		return errors.New("there is no checkpoint")
	}
	if l.started.Load() {
		return errors.New("the learner has run already")
	}
	version := c.Uints[versionName]
	if version < 1 || version > maxVersion {
		return fmt.Errorf("%s is missing or %d: want 1 to 2^63", versionName, version)
	}
	// The predictor may refuse what the run takes.
	if err := l.keep(0); err != nil {
		return err
	}
	seed, forwards := l.session.Random()
	if err := l.run.Restore(c); err != nil {
		return err
	}
	if err := l.predictor.publishAs(l.model, version); err != nil {
		l.session.SetRandom(seed, forwards)
		return errors.Join(err, l.setBack())
	}
	return nil
}
