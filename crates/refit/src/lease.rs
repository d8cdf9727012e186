//! One sweep at a time, on however many machines: a lease at the remote that expires by itself. It spares work and noise;
//! that tags end right without it is what reading them again before they move is for.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use refit_git::{
    Repo,
    notes::{Lease, LeaseMove},
};
use refit_oci::ObjectId;
use serde::{Deserialize, Serialize};

use crate::{
    commands::App,
    environment::Environment,
    error::{CommandError, chain},
    project::Project,
    run::new_id,
};

/// How long a process holds it without a sign of life.
const OF_PROCESS: SignedDuration = SignedDuration::from_mins(10);
/// How often a living process says so.
const SIGN_OF_LIFE: Duration = Duration::from_mins(3);
/// The same between the shards of a plan: machines may have to be waited for.
const OF_PLAN: SignedDuration = SignedDuration::from_mins(30);
/// How many leases a clone remembers of its own.
const REMEMBERED: usize = 8;
/// How often a lost race is run again.
const ATTEMPTS: usize = 8;
/// How long the first look waits for the next, while somebody else holds it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What is done where somebody else holds it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manners {
    /// How long it is waited for.
    pub(crate) wait: SignedDuration,
    /// It is taken all the same.
    pub(crate) take: bool,
}

/// Who holds it, as its commit says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    v: u32,
    /// The sweep's.
    id: String,
    /// A machine's name.
    by: String,
    since: Timestamp,
    until: Timestamp,
}

/// A lease that is held; given up when it is dropped.
pub(crate) struct Held {
    inner: Arc<Inner>,
    /// Under which others join it.
    pub(crate) id: String,
    /// Ends the signs of life.
    end: Option<mpsc::Sender<()>>,
    signs: Option<JoinHandle<()>>,
    /// Whether others go on under it.
    outlives: bool,
    /// Whether it had to be waited for.
    pub(crate) waited: bool,
}

struct Inner {
    repo: Repo,
    remote: String,
    environment: Environment,
    term: SignedDuration,
    /// The holder and the commit that says so; none: it is nobody's, or somebody else's.
    now: Mutex<Option<(Holder, ObjectId)>>,
    /// Held by the system as long as this process lives.
    file: Option<Mutex<File>>,
}

/// Takes the lease for a sweep of this process; none where there is no remote, or it takes no such ref.
pub(crate) async fn take(
    app: &App,
    remote: Option<&str>,
    manners: Manners,
) -> Result<Option<Held>, CommandError> {
    acquire(app, remote, manners, (new_id().to_string(), OF_PROCESS)).await
}

/// Takes the lease for a plan: shards join it by its id, and it stays when this process ends.
pub(crate) async fn take_for_plan(
    app: &App,
    remote: Option<&str>,
    manners: Manners,
) -> Result<Option<Held>, CommandError> {
    join(app, remote, manners, &new_id().to_string()).await
}

/// Joins the lease of a plan, or takes it anew for it where it has expired.
pub(crate) async fn join(
    app: &App,
    remote: Option<&str>,
    manners: Manners,
    id: &str,
) -> Result<Option<Held>, CommandError> {
    acquire(app, remote, manners, (id.to_owned(), OF_PLAN)).await
}

async fn acquire(
    app: &App,
    remote: Option<&str>,
    manners: Manners,
    (id, term): (String, SignedDuration),
) -> Result<Option<Held>, CommandError> {
    let Some(remote) = remote else {
        return Ok(None);
    };
    let project = app.project()?;
    let outlives = term == OF_PLAN;
    // Shards are several processes, on one clone as well.
    let file = own_file(&project).filter(|_| !outlives);
    let inner = Inner {
        repo: project.repo,
        remote: remote.to_owned(),
        environment: app.environment.clone(),
        term,
        now: Mutex::default(),
        file: file.map(Mutex::new),
    };
    let dead = inner.written();
    // Before anything is taken: a process may be killed at any moment.
    inner.write_down(&id, &dead);
    let mut waited = SignedDuration::ZERO;
    let mut pause = FIRST_PAUSE;
    loop {
        match inner.try_take(&id, None, (&dead, manners.take)) {
            Tried::Held => break,
            Tried::NotAllowed(why) => {
                if app.ui.is_verbose() {
                    app.ui
                        .note(&format!("no lease is held at `{remote}`: {why}"));
                }
                return Ok(None);
            }
            Tried::Others(holder) if waited >= manners.wait => return Err(refusal(&holder)),
            Tried::Others(holder) => {
                if waited.is_zero() {
                    app.ui.note(&format!("waiting: {}", words(&holder)));
                }
                tokio::time::sleep(pause).await;
                waited += SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    if !waited.is_zero() {
        app.ui.note("the other sweep is done: planning again");
    }
    let inner = Arc::new(inner);
    let (end, ended) = mpsc::channel();
    let signs = {
        let inner = Arc::clone(&inner);
        thread::spawn(move || {
            while ended.recv_timeout(SIGN_OF_LIFE) == Err(mpsc::RecvTimeoutError::Timeout) {
                inner.renew();
            }
        })
    };
    Ok(Some(Held {
        inner,
        id,
        end: Some(end),
        signs: Some(signs),
        outlives,
        waited: !waited.is_zero(),
    }))
}

/// What an attempt came to.
enum Tried {
    Held,
    Others(Holder),
    NotAllowed(String),
}

impl Inner {
    /// Takes the lease unless somebody else holds it. `there` is what it was last; at first as if nobody held it, for
    /// mostly nobody does. `dead` are those of this clone whose processes live no more.
    fn try_take(
        &self,
        id: &str,
        mut there: Option<Lease>,
        (dead, by_force): (&[String], bool),
    ) -> Tried {
        for _ in 0..ATTEMPTS {
            let now = self.environment.now();
            let before = there.as_ref().and_then(|lease| Holder::parse(&lease.text));
            if let (Some(lease), Some(holder)) = (&there, &before) {
                let is_free = holder.until <= now || dead.contains(&holder.id) || by_force;
                let joins = holder.id == id;
                if !is_free && !joins {
                    return Tried::Others(holder.clone());
                }
                if joins && holder.until.duration_since(now) > self.term / 2 {
                    // All shards of a plan would move it at once, and for nothing.
                    self.set(Some((holder.clone(), lease.id.clone())));
                    return Tried::Held;
                }
            }
            let holder = Holder {
                v: 1,
                id: id.to_owned(),
                by: self.environment.machine(),
                since: before.filter(|b| b.id == id).map_or(now, |b| b.since),
                until: now.checked_add(self.term).unwrap_or(now),
            };
            let expected = there.as_ref().map(|lease| &lease.id);
            let taken = self.repo.lease_take(&self.remote, expected, &holder.text());
            let beaten = match taken {
                Ok(LeaseMove::Moved(commit)) => {
                    self.set(commit.map(|commit| (holder, commit)));
                    return Tried::Held;
                }
                Ok(LeaseMove::NotAllowed(why)) => return Tried::NotAllowed(why),
                Ok(LeaseMove::Beaten) => self.repo.lease(&self.remote),
                Err(error) => Err(error),
            };
            match beaten {
                Ok(now) => there = now,
                // What can't be read holds nobody up.
                Err(error) => return Tried::NotAllowed(chain(&error)),
            }
        }
        Tried::NotAllowed("others keep moving it".to_owned())
    }

    fn set(&self, now: Option<(Holder, ObjectId)>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// A sign of life. Whoever took it meanwhile keeps it: tags are read again before they move.
    fn renew(&self) {
        let Some((holder, commit)) = self.held() else {
            return;
        };
        let text = holder.text();
        let known = Lease { id: commit, text };
        match self.try_take(&holder.id, Some(known), (&[], false)) {
            Tried::Others(_) => self.set(None),
            // A remote that is out of reach for now stops no sweep.
            Tried::Held | Tried::NotAllowed(_) => {}
        }
    }

    fn held(&self) -> Option<(Holder, ObjectId)> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.clone()
    }

    /// The leases of the last processes of this clone that had the file.
    fn written(&self) -> Vec<String> {
        let read = |file: &Mutex<File>| -> Option<String> {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let mut text = String::new();
            file.seek(SeekFrom::Start(0)).ok()?;
            (&mut *file).take(4096).read_to_string(&mut text).ok()?;
            Some(text)
        };
        let text = self.file.as_ref().and_then(read).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// For the next process of this clone: what this one is about to hold, and what is not given up yet, perhaps.
    fn write_down(&self, id: &str, before: &[String]) {
        let Some(file) = &self.file else { return };
        let ids = std::iter::once(id).chain(before.iter().map(String::as_str));
        let text: Vec<&str> = ids.take(REMEMBERED).collect();
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // Without it a lease expires by itself.
        let _ = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(text.join("\n").as_bytes()));
    }

    fn give_up(&self) {
        let Some((holder, commit)) = self.held() else {
            return;
        };
        self.set(None);
        let repo = &self.repo;
        if let Ok(LeaseMove::NotAllowed(_)) = repo.lease_drop(&self.remote, &commit) {
            // Where no ref may be deleted: one that has expired is as good.
            let until = self.environment.now();
            let over = Holder { until, ..holder };
            let _ = repo.lease_take(&self.remote, Some(&commit), &over.text());
        }
    }
}

impl Held {
    /// Gives it up in the end, although others went on under it: they are done.
    pub(crate) fn ends(mut self) {
        self.outlives = false;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(signs) = self.signs.take() {
            // It only sleeps, or is about to end a push.
            let _ = signs.join();
        }
        if !self.outlives {
            self.inner.give_up();
        }
    }
}

impl Holder {
    fn text(&self) -> String {
        let json = serde_json::to_string(self).expect("a holder has only string keys");
        format!("refit: {}\n\n{json}\n", words(self))
    }

    /// What a lease says; none if no refit wrote it, and then it holds nobody up.
    fn parse(text: &str) -> Option<Self> {
        let json = text.lines().find(|line| line.starts_with('{'))?;
        let holder: Self = serde_json::from_str(json).ok()?;
        (holder.v == 1).then_some(holder)
    }
}

fn words(holder: &Holder) -> String {
    let time = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let by: String = holder.by.chars().filter(|c| !c.is_control()).collect();
    format!(
        "{by} sweeps since {}, and holds the lease until {} at most without a sign of life",
        time(holder.since),
        time(holder.until)
    )
}

fn refusal(holder: &Holder) -> CommandError {
    CommandError::new(format!("another sweep is under way: {}", words(holder)))
        .hint("`--wait 30m` waits for it and does what is left")
        .hint("`--take-lease` takes it, if nothing sweeps there any more")
}

/// The file by which processes of this clone know of each other; none while another one has it.
fn own_file(project: &Project) -> Option<File> {
    let folder = project.own_dir();
    fs::create_dir_all(&folder).ok()?;
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(folder.join("sweep.lock")).ok()?;
    file.try_lock().ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_says_who_holds_it_to_people_and_to_refit() {
        let holder = Holder {
            v: 1,
            id: "01J".to_owned(),
            by: "ci\u{1b}[31m-3".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH + OF_PROCESS,
        };
        let text = holder.text();
        assert_eq!(
            text.lines().next(),
            Some(
                "refit: ci[31m-3 sweeps since 1970-01-01 00:00:00 UTC, and holds the lease until \
                 1970-01-01 00:10:00 UTC at most without a sign of life"
            )
        );
        assert_eq!(Holder::parse(&text), Some(holder));
        for foreign in ["", "{", "{\"v\":2}", "refit: x\n\n{\"v\":1,\"id\":\"a\"}"] {
            assert_eq!(Holder::parse(foreign), None, "{foreign}");
        }
    }
}
