//! Tags that a decision moves to what was published before, or is to be: looked at, filled behind, moved.

use std::collections::BTreeSet;

use refit_build::apply::copy_published;
use refit_deps::{
    image::Image,
    record::{PublishRecord, Records},
};
use refit_oci::{Digest, Document, Reference, Repository};
use refit_registry::{Registries, RegistryError};

use crate::error::{CommandError, chain};

/// Each tag, and whether it moves; or why not.
pub(super) type Tags = Vec<(Reference, Result<(), String>)>;

/// Moves one image's tags.
pub(super) struct Mover<'a> {
    registries: &'a Registries,
    records: &'a Records,
    image: &'a Image,
    lead: Reference,
    /// The command that moves them if this one does not come to it.
    again: String,
}

impl<'a> Mover<'a> {
    pub(super) fn new(
        registries: &'a Registries,
        records: &'a Records,
        (image, again): (&'a Image, String),
    ) -> Result<Self, CommandError> {
        let Some(lead) = image.lead_tag() else {
            return Err(
                CommandError::new(format!("`{}` has no moving tag", image.name))
                    .hint("give it `tags` in .config/refit.toml"),
            );
        };
        let tags = image.moving_tags().into_iter();
        registries.never_mirror(tags.map(|tag| tag.repository().clone()));
        Ok(Self {
            registries,
            records,
            image,
            lead,
            again,
        })
    }

    /// The tag that leads.
    pub(super) fn lead(&self) -> &Reference {
        &self.lead
    }

    /// What it holds.
    pub(super) async fn lead_holds(&self) -> Result<Option<Digest>, CommandError> {
        Ok(self.holds(&self.lead).await?)
    }

    async fn holds(&self, reference: &Reference) -> Result<Option<Digest>, RegistryError> {
        let registry = self.registries.registry(reference.repository().registry());
        Ok(registry.head(reference).await?.digest().cloned())
    }

    async fn document(&self, digest: &Digest) -> Result<Document, RegistryError> {
        let repository = self.lead.repository();
        let registry = self.registries.registry(repository.registry());
        registry.document(repository, digest).await
    }

    /// Checks that the registry still has all of it.
    pub(super) async fn is_whole(&self, to: &PublishRecord) -> Result<(), CommandError> {
        let repository = self.lead.repository();
        let gone = |digest: &Digest| {
            let image = &self.image.name;
            let message = format!("`{}` does not have {} any more", repository, digest.short());
            let error = CommandError::new(message);
            match &to.commit {
                Some(commit) => error.hint(format!(
                    "release it again: check out {}, and run `refit build {image} --push`",
                    commit.short()
                )),
                None => error,
            }
        };
        let document = match self.document(&to.index).await {
            Ok(document) => document,
            Err(error) if error.is_missing() => return Err(gone(&to.index)),
            Err(error) => return Err(error.into()),
        };
        let Document::Index(index) = document else {
            return Ok(());
        };
        for held in &index.value.manifests {
            if self.holds(&repository.at(&held.digest)).await?.is_none() {
                return Err(gone(&held.digest));
            }
        }
        Ok(())
    }

    /// Which tags move: the lead, and those that hold what it holds, or what was published there last.
    pub(super) async fn plan(&self, holds: Option<&Digest>, to: &PublishRecord) -> Tags {
        let mut tags = Vec::new();
        for tag in self.image.moving_tags() {
            let moves = if tag == self.lead {
                Ok(())
            } else {
                self.may_move(&tag, holds, to).await
            };
            tags.push((tag, moves));
        }
        tags
    }

    async fn may_move(
        &self,
        tag: &Reference,
        lead: Option<&Digest>,
        to: &PublishRecord,
    ) -> Result<(), String> {
        let now = self.holds(tag).await.map_err(|error| behind(&error))?;
        let last = self.records.last_moved(&self.image.name, &self.lead, tag);
        let now = now.as_ref();
        if now == lead || now == last || now == Some(&to.index) {
            return Ok(());
        }
        let holds = now.map_or("nothing", Digest::short);
        Err(format!(
            "it holds {holds}, not what {} held",
            self.lead.familiar()
        ))
    }

    /// Copies what the tags are to hold into every further repository, with what is said of it.
    pub(super) async fn fill_further(&self, to: &PublishRecord, tags: &mut Tags) {
        let further: BTreeSet<Repository> = tags
            .iter()
            .filter(|(tag, moves)| moves.is_ok() && tag.repository() != self.lead.repository())
            .map(|(tag, _)| tag.repository().clone())
            .collect();
        for repository in further {
            // Whoever published it may have signed it.
            let between = (self.lead.repository(), &repository);
            let filled = copy_published(self.registries, between, &to.index, true);
            let Err(error) = filled.await else {
                continue;
            };
            let of_repository = tags
                .iter_mut()
                .filter(|(tag, _)| *tag.repository() == repository);
            of_repository.for_each(|(_, moves)| *moves = Err(behind(&error)));
        }
    }

    /// Moves them. The lead is read again first: what was decided on is what is moved.
    pub(super) async fn move_tags(
        &self,
        holds: Option<&Digest>,
        to: &PublishRecord,
        tags: &mut Tags,
    ) -> Result<(), CommandError> {
        let document = self.document(&to.index).await?;
        let now = self.lead_holds().await?;
        if now.as_ref() != holds && now.as_ref() != Some(&to.index) {
            let now = now.as_ref().map_or("nothing", Digest::short);
            return Err(CommandError::new(format!(
                "somebody else moved `{}` to {now} just now, and it stays there",
                self.lead.familiar()
            ))
            .hint("look at it with `refit status`"));
        }
        for (tag, moves) in tags.iter_mut().filter(|(_, moves)| moves.is_ok()) {
            let registry = self.registries.registry(tag.repository().registry());
            let pushed = registry.push_document(tag.repository(), &document, tag.tag());
            match pushed.await {
                Ok(_) => {}
                Err(error) if *tag == self.lead => {
                    return Err(CommandError::from(error).hint(format!(
                        "it is decided and recorded; run `{}` again to move the tags",
                        self.again
                    )));
                }
                Err(error) => *moves = Err(behind(&error)),
            }
        }
        Ok(())
    }
}

fn behind(error: &RegistryError) -> String {
    format!("behind: {}", chain(error))
}
