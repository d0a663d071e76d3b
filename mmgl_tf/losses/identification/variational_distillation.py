"""VCD's variational self- and cross-distillation (Tian et al., 2021): keep what tells identities.

Legend: n images, K identities.
"""

import tensorflow as tf

from mmgl_tf.losses.choices import require_choice
from mmgl_tf.losses.full_precision import at_least_float32

FORMS = ("released", "proper")


def variational_distillation(observed, represented, form="released"):
    """How far identities by the bottleneck's representation are from identities by the observation before it.

    With s = softmax(observed), constant, and t = softmax(represented):

        released  1/(n K) sum_i sum_k t_ik (log t_ik - s_ik)
        proper    1/n sum_i sum_k s_ik (log s_ik - log t_ik)

    Self-distillation (VSD) takes both from one branch; cross-distillation (VCD) takes the observation of the
    image's other rendering.

    Choice: "proper" is the paper's KL(p(y|v) || p(y|z)). The released code gives probabilities where its
    library's function takes logarithms, swaps the two distributions, and divides by K, too: the value is
    negative by construction, its best t is softmax(s), which is nearly even, and its gradient is a hundred to
    a thousand times smaller, so that it hardly acts. The published numbers are with it, at weight 2; "proper"
    wants a weight of its own.

    Args:
        observed: float [n, K], logits of the observation.
        represented: float [n, K], logits of the representation; the same rows.
        form: one of `FORMS`.

    Returns:
        Scalar, float32 (float64 for float64 logits). proper: at least 0; released: in [-(ln K + 1) / K, 0].

    Raises:
        ValueError: an unknown form.
    """
    require_choice("variational_distillation", "form", form, FORMS)
    observed = tf.stop_gradient(at_least_float32(observed))
    log_student = tf.nn.log_softmax(at_least_float32(represented), axis=-1)
    if form == "released":
        student = tf.exp(log_student)
        return tf.reduce_mean(student * (log_student - tf.nn.softmax(observed, axis=-1)))
    log_teacher = tf.nn.log_softmax(observed, axis=-1)
    return tf.reduce_mean(tf.reduce_sum(tf.exp(log_teacher) * (log_teacher - log_student), axis=-1))
