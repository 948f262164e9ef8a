//! The private thread pool, and the only door to rayon.
//!
//! rayon's global pool is never touched: other extensions in the process may own it. The pool is built at the first
//! call, rebuilt when the number of threads changes, and rebuilt after a fork, where the parent's threads do not exist.
//! Where the system refuses threads there are fewer, and where it refuses the first, the calling thread does the work: the
//! answer is the same.
//! Pool threads run only leaves (a loop over blocks), so that calls from several threads share the pool without one
//! waiting inside another. The calling thread runs the serial parts, and while it waits for the pool it wakes every
//! 100 ms to run the caller's tick (signals, progress).

use crate::Control;
use crate::engine::control::Tick;
use std::cell::{Cell, RefCell};
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(100);

/// Threads for the whole process, 0 = not set.
static DEFAULT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Threads for calls from this thread, 0 = not set.
    static HERE: Cell<usize> = const { Cell::new(0) };
    /// The tick of the call that runs on this thread.
    static TICKER: RefCell<Option<Ticker>> = const { RefCell::new(None) };
}

/// Sets the number of threads of every later call in this process; 0 is as if none had been set.
///
/// ```
/// emcore::set_num_threads(3);
/// assert_eq!(emcore::num_threads(), 3);
/// ```
pub fn set_num_threads(threads: usize) {
    DEFAULT.store(threads, Ordering::Relaxed);
}

/// Sets the number of threads of later calls from this thread only (0 = as the process); returns the former setting.
///
/// ```
/// let former = emcore::set_num_threads_here(1);
/// assert_eq!(emcore::num_threads(), 1);
/// emcore::set_num_threads_here(former);
/// ```
pub fn set_num_threads_here(threads: usize) -> usize {
    HERE.replace(threads)
}

/// Returns how many threads a call from this thread asks the system for: set here > set for the process > `EMCORE_NUM_THREADS` >
/// `RAYON_NUM_THREADS` > available cores.
///
/// ```
/// assert!(emcore::num_threads() > 0);
/// ```
pub fn num_threads() -> usize {
    let from_env = |name| std::env::var(name).ok()?.trim().parse().ok().filter(|&n: &usize| n > 0);
    let set = |n| (n > 0).then_some(n);
    set(HERE.get())
        .or_else(|| set(DEFAULT.load(Ordering::Relaxed)))
        .or_else(|| from_env("EMCORE_NUM_THREADS"))
        .or_else(|| from_env("RAYON_NUM_THREADS"))
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// The pool of one process: a fork leaves the parent's behind, lock and all.
struct Owned {
    process: u32,
    /// With the number of threads that were asked for, of which the system may have refused some.
    pool: Mutex<Option<(usize, Arc<rayon::ThreadPool>)>>,
}

static POOL: AtomicPtr<Owned> = AtomicPtr::new(ptr::null_mut());

/// The pool of this process; none where the system refuses the first thread.
fn pool() -> Option<Arc<rayon::ThreadPool>> {
    let process = std::process::id();
    let mut current = POOL.load(Ordering::Acquire);
    // SAFETY: the pointer is null or came from `Box::into_raw` below and is never freed.
    while unsafe { current.as_ref() }.is_none_or(|owned| owned.process != process) {
        let fresh = Box::into_raw(Box::new(Owned { process, pool: Mutex::new(None) }));
        match POOL.compare_exchange(current, fresh, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => current = fresh,
            Err(other) => {
                // SAFETY: `fresh` was made above and nobody else has seen it.
                drop(unsafe { Box::from_raw(fresh) });
                current = other;
            }
        }
    }
    // SAFETY: not null after the loop, and never freed.
    let mut slot = unsafe { &*current }.pool.lock().unwrap_or_else(PoisonError::into_inner);
    let threads = num_threads();
    if slot.as_ref().is_none_or(|(asked, _)| *asked != threads) {
        *slot = None; // its threads end first
        *slot = build(threads, start).map(|pool| (threads, Arc::new(pool)));
    }
    slot.as_ref().map(|(_, pool)| Arc::clone(pool))
}

fn start(thread: rayon::ThreadBuilder) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("emcore-{}", thread.index())).spawn(|| thread.run())
}

/// A pool of `threads`; where `start` fails, of half as many as could be started, which leaves some to others; of none, none.
fn build(
    threads: usize,
    start: impl Fn(rayon::ThreadBuilder) -> io::Result<JoinHandle<()>>,
) -> Option<rayon::ThreadPool> {
    let mut threads = threads;
    while threads > 0 {
        let mut started = Vec::new();
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads).spawn_handler(|thread| {
            started.push(start(thread)?);
            Ok(())
        });
        if let Ok(pool) = builder.build() {
            return Some(pool);
        }
        threads = started.len().div_ceil(2);
        // rayon tells them to end; the system counts them until they have.
        started.into_iter().for_each(|thread| drop(thread.join()));
    }
    None
}

/// Runs `work` once on every thread of the pool and waits; `work` takes its share from a common counter.
///
/// The calling thread runs its tick every 100 ms; a tick that says stop cancels `control`. Where the system refuses the first
/// thread, it runs `work` itself, which must call [`tick_if_due`].
pub fn on_every_thread(control: &Control, work: &(dyn Fn() + Sync)) {
    struct Done(mpsc::Sender<()>);
    impl Drop for Done {
        fn drop(&mut self) {
            let _ = self.0.send(()); // sent even when `work` panics
        }
    }
    let wait = |receiver: mpsc::Receiver<()>| loop {
        match receiver.recv_timeout(TICK) {
            Ok(()) => {}
            Err(mpsc::RecvTimeoutError::Timeout) => tick(control),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    };
    if num_threads() == 1 {
        // A thread of this call's own: callers that ask for one thread each, as a cluster's workers do, run side by side.
        let started = std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            let done = Done(sender);
            let thread = std::thread::Builder::new().name("emcore-0".into()).spawn_scoped(scope, move || {
                let _done = done;
                work();
            });
            wait(receiver);
            thread.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).is_ok()
        });
        if !started {
            work();
        }
    } else if let Some(pool) = pool() {
        pool.in_place_scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            for _ in 0..pool.current_num_threads() {
                let done = Done(sender.clone());
                scope.spawn(move |_| {
                    let _done = done;
                    work();
                });
            }
            drop(sender);
            wait(receiver);
        });
    } else {
        work();
    }
    tick_if_due(control); // or many short calls would never be stopped
}

/// Runs the calling thread's tick if the last one was 100 ms ago; threads of the pool have none.
pub fn tick_if_due(control: &Control) {
    if TICKER.with_borrow(|ticker| ticker.as_ref().is_some_and(|ticker| ticker.1.elapsed() >= TICK)) {
        tick(control);
    }
}

/// Runs the calling thread's tick now. Serial parts that may last call it between steps.
pub fn tick(control: &Control) {
    // Taken out while it runs: a tick (a signal handler, a progress callback) may itself call a kernel.
    if let Some(mut ticker) = TICKER.take() {
        let (done, total) = control.progress();
        // SAFETY: `with_tick` put the pointer there, and removes it before the borrow that it came from ends; nobody
        // else on this thread can reach it while it is taken out.
        if !unsafe { (*ticker.0)(done, total) } {
            control.cancel();
        }
        ticker.1 = Instant::now();
        TICKER.set(Some(ticker));
    }
}

/// What to call, and when it was called last.
struct Ticker(*mut Tick<'static>, Instant);

/// Runs `call` on this thread; while it waits for the pool, `tick` runs every 100 ms on this thread.
///
/// ```
/// use emcore::methods::moments::moments;
/// use emcore::{Control, Rows, with_tick};
///
/// let (data, control, mut result) = (vec![1u8; 1000], Control::new(), None);
/// let mut tick = |done: u64, total: u64| {
///     println!("{done} of {total} rows");
///     true // go on
/// };
/// with_tick(&mut tick, &mut || result = Some(moments(Rows::from_slice(&data, 100, 10), &control)));
/// assert_eq!(result.unwrap()?.n, 100);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn with_tick(tick: &mut Tick<'_>, call: &mut dyn FnMut()) {
    struct Restore(Option<Ticker>);
    impl Drop for Restore {
        fn drop(&mut self) {
            TICKER.set(self.0.take());
        }
    }
    // SAFETY: only the lifetime changes; `Restore` removes the pointer before `tick` is released, even on a panic.
    let ticker = unsafe { std::mem::transmute::<*mut Tick<'_>, *mut Tick<'static>>(tick) };
    let ticker = Ticker(ticker, Instant::now());
    let _restore = Restore(TICKER.replace(Some(ticker)));
    call();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri refuses the queues of rayon")]
    fn work_runs_on_as_many_threads_as_asked_for() {
        for threads in [1, 2, 3] {
            let former = set_num_threads_here(threads);
            let count = AtomicUsize::new(0);
            on_every_thread(&Control::new(), &|| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            set_num_threads_here(former);
            assert_eq!(count.into_inner(), threads);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri refuses the queues of rayon")]
    fn where_the_system_refuses_threads_the_pool_has_fewer() {
        let limit = |most: usize| {
            let alive = Arc::new(AtomicUsize::new(0));
            move |thread: rayon::ThreadBuilder| {
                if alive.fetch_add(1, Ordering::SeqCst) >= most {
                    alive.fetch_sub(1, Ordering::SeqCst);
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                let alive = Arc::clone(&alive);
                std::thread::Builder::new().spawn(move || {
                    thread.run();
                    alive.fetch_sub(1, Ordering::SeqCst);
                })
            }
        };
        for (most, threads) in [(9, 4), (4, 4), (3, 2), (2, 1), (1, 1)] {
            let pool = build(4, limit(most)).unwrap();
            assert_eq!(pool.current_num_threads(), threads);
            assert_eq!(pool.install(|| 1 + 1), 2);
        }
        assert!(build(4, limit(0)).is_none());
    }

    #[test]
    fn calls_that_ask_for_one_thread_each_run_side_by_side() {
        let together = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    set_num_threads_here(1);
                    on_every_thread(&Control::new(), &|| {
                        together.wait(); // for ever, if one waited for the other to end
                    });
                });
            }
        });
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri refuses the queues of rayon")]
    fn a_tick_that_says_stop_cancels() {
        let control = Control::new();
        let mut ticks = 0;
        with_tick(
            &mut |_, _| {
                ticks += 1;
                false
            },
            &mut || {
                on_every_thread(&control, &|| {
                    while control.check().is_ok() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                });
            },
        );
        assert_eq!(ticks, 1);
    }

    #[test]
    fn a_tick_may_itself_compute() {
        let (control, mut inner) = (Control::new(), false);
        with_tick(
            &mut |_, _| {
                with_tick(&mut |_, _| true, &mut || tick(&Control::new()));
                inner = true;
                false
            },
            &mut || tick(&control),
        );
        assert!(inner && control.check().is_err());
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri refuses the queues of rayon")]
    fn many_short_calls_are_ticked_like_a_long_one() {
        let control = Control::new();
        with_tick(&mut |_, _| false, &mut || {
            while control.check().is_ok() {
                on_every_thread(&control, &|| std::thread::sleep(Duration::from_millis(1)));
            }
        });
    }
}
