// SPDX-License-Identifier: GPL-2.0-or-later
//
// The structure in a model file, seen as the model would see it in a run. Its graph is made from
// the elements and cutoffs in the file, so that wrong ones show.
#pragma once

#include "core/metadata.h"
#include "core/model.h"
#include "ops/visibility.h"

namespace egraff {

// The folded graph of metadata.check_frame: no ghosts, every periodic image is an edge of its own.
// Throws egraff::Error if it would be large.
Graph graph_of_check_frame(const Metadata &metadata, const std::string &path);

// Throws egraff::Error if the model does not reproduce the energy and forces in its file.
EGRAFF_PUBLIC void verify_check_frame(const Model &model);

} // namespace egraff
