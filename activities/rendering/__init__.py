"""Templates: compiled once per version, filled in once per contact.

`compile_template` checks and compiles what an author wrote; `render` makes one message. Neither stores or sends anything. A `Renderer`
offers both, in this process or in a `RenderPool` of others.
"""

from activities.rendering.compile import CompiledTemplate, Variant, compile_template, digest
from activities.rendering.faults import RenderFailed
from activities.rendering.kinds import Kind
from activities.rendering.links import link_digest
from activities.rendering.partials import NO_PARTIALS, Library, Partial
from activities.rendering.pool import RenderLimits, RenderPool
from activities.rendering.render import UNTRACKED, Marks, Rendered, answered, choose, render, render_text
from activities.rendering.renderer import INLINE, RenderBusy, Renderer
from activities.rendering.sms import Segments, segments

__all__ = [
    "INLINE",
    "NO_PARTIALS",
    "UNTRACKED",
    "CompiledTemplate",
    "Kind",
    "Library",
    "Marks",
    "Partial",
    "RenderBusy",
    "RenderFailed",
    "RenderLimits",
    "RenderPool",
    "Rendered",
    "Renderer",
    "Segments",
    "Variant",
    "answered",
    "choose",
    "compile_template",
    "digest",
    "link_digest",
    "render",
    "render_text",
    "segments",
]
