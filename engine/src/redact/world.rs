//! What stands between a walk and everybody who is told of it.

use std::sync::Arc;

use async_trait::async_trait;

use super::Redactor;
use crate::event::Event;
use crate::run::{Answer, AskedOf, Gate, Operator};
use crate::step::Question;
use crate::walk::World;

/// The same world, in which nobody sees a secret.
pub(crate) fn guarded(mut world: World) -> World {
    if world.redactor.is_idle() {
        return world;
    }
    let (redactor, listener) = (world.redactor.clone(), world.listener);
    world.listener = Arc::new(move |event: &Event| listener(&redactor.event(event)));
    world.operator = Arc::new(Shown { operator: world.operator, redactor: world.redactor.clone() });
    world
}

/// The people, who are shown things without secrets. What they agree to has the digest of the real ones.
struct Shown {
    operator: Arc<dyn Operator>,
    redactor: Redactor,
}

#[async_trait]
impl Operator for Shown {
    async fn consent(&self, at: &AskedOf, gate: &Gate) -> Answer<bool> {
        self.operator.consent(at, &self.redactor.shown(gate)).await
    }

    async fn choose(&self, at: &AskedOf, question: &Question) -> Answer<String> {
        self.operator.choose(at, &self.redactor.shown(question)).await
    }

    async fn is_member(&self, account: &str, group: &str) -> Option<bool> {
        self.operator.is_member(account, group).await
    }
}
