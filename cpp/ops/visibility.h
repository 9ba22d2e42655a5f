// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a shared library shows to others is marked; all else is hidden, see CMakeLists.txt.
#pragma once

#if defined(_WIN32)
#define EGRAFF_PUBLIC
#else
#define EGRAFF_PUBLIC __attribute__((visibility("default")))
#endif
