// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a table holds of a function of the distance at each knot. A spline's derivative contains the
// difference of the values at both ends of an interval; of values that are rounded to float32, it
// would lose as many digits as the table has knots. So how much the value rises to the next knot is
// a number of its own.
#pragma once

namespace egraff::edges {

// Derivatives are in units of the spacing.
enum TableRow { SLOPE, CURVATURE, VALUE, RISE, TABLE_ROWS };
// An interval needs all of its first knot and two numbers of the next one.
enum NextRow { NEXT_SLOPE = TABLE_ROWS, NEXT_CURVATURE, INTERVAL_ROWS };

} // namespace egraff::edges
